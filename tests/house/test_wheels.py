"""Every package builds as a wheel, with everything of it inside."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from email.parser import BytesParser
from pathlib import Path

import pytest

from tests.house.source import PACKAGES, ROOT

NOT_SHIPPED = {"__pycache__", "tests"}


def build(package: str, folder: Path) -> zipfile.ZipFile:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(command, cwd=PACKAGES[package], capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    return zipfile.ZipFile(wheel)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_wheel_holds_the_whole_package(package: str, tmp_path: Path) -> None:
    home = PACKAGES[package]
    files = (path.relative_to(home) for path in (home / package).rglob("*") if path.is_file())
    wanted = {
        path.as_posix() for path in files if not any(part in NOT_SHIPPED or part[0] == "." for part in path.parts)
    }
    project = tomllib.loads((home / "pyproject.toml").read_text())["project"]
    with build(package, tmp_path) as wheel:
        names = set(wheel.namelist())
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        told = BytesParser().parsebytes(wheel.read(metadata))
    assert wanted - names == set()
    assert f"{package}/py.typed" in names
    assert (told["Name"], told["Version"]) == (project["name"], project["version"])
    assert told["License-Expression"] == "Apache-2.0"
    assert told["Requires-Python"] == "<3.14,>=3.11"
    assert str(told.get_payload()).startswith("# Caravan") is ("readme" in project)


def test_the_versions_are_one() -> None:
    projects = [tomllib.loads((home / "pyproject.toml").read_text())["project"] for home in PACKAGES.values()]
    assert len({project["version"] for project in projects}) == 1
    assert len({project["requires-python"] for project in projects}) == 1


def test_what_the_build_reads_is_sent_to_the_image_builder() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    sent = (ROOT / ".dockerignore").read_text().splitlines()
    assert {f"!{name}" for name in (project["readme"], *project["license-files"])} <= set(sent)
