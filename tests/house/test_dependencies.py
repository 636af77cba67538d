"""Each package declares what it imports, and no more rooms know each other than the picture shows."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

from tests.house.source import PACKAGES, ROOT, imported, sources

DISTRIBUTIONS = packages_distributions()
MADE_HERE = {
    ".git",
    "node_modules",
    "__pycache__",
    ".mypy_cache",
    ".ruff_cache",
    ".hypothesis",
    ".caravan",
    ".clients",
    "results",
}
TEXT = {"", ".cfg", ".in", ".js", ".json", ".md", ".mjs", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml"}
LOCAL = {name: name.replace("_", "-") for name in PACKAGES}


def project(package: str) -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((PACKAGES[package] / "pyproject.toml").read_text())["project"]
    return table


def plain(name: str) -> str:
    """The name of a distribution as the packaging standard compares them."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;@]", name, maxsplit=1)[0]).lower()


def declared(package: str, seen: frozenset[str] = frozenset()) -> set[str]:
    """Distributions a package asks for, its extras' and those of our own packages below it included."""
    table = project(package)
    wanted = list(table.get("dependencies", []))
    for extra in table.get("optional-dependencies", {}).values():
        wanted += extra
    names = {plain(item) for item in wanted}
    for local, distribution in LOCAL.items():
        if distribution in names and local not in seen:
            names |= declared(local, seen | {package})
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_every_import_is_declared(package: str) -> None:
    allowed = declared(package) | {LOCAL[package]}
    missing = {
        f"{source}:{line} {name}"
        for source in sources(package)
        for name, line in imported(source.tree)
        if name not in sys.stdlib_module_names
        and not {plain(item) for item in [*DISTRIBUTIONS.get(name, [name]), LOCAL.get(name, name)]} & allowed
    }
    assert not missing, f"add to {PACKAGES[package].name}/pyproject.toml: {missing}"


def locked_names() -> set[str]:
    folder = ROOT / "requirements"
    text = "\n".join(
        (folder / f"{name}.txt").read_text()
        for name in ("constraints", "local", "any-llm", "ocr", "presidio", "models")
    )
    return {plain(line) for line in text.splitlines() if re.match(r"[A-Za-z0-9]", line)}


def test_every_declared_dependency_is_locked() -> None:
    wanted = {name for package in PACKAGES for name in declared(package)} - set(LOCAL.values())
    assert wanted <= locked_names(), f"run make lock: {wanted - locked_names()}"


def test_our_own_packages_never_come_from_a_registry() -> None:
    """Strangers may have these names there."""
    assert not locked_names() & set(LOCAL.values())
    kept_out = (ROOT / "requirements/not-installed-in-images.txt").read_text().splitlines()
    assert {plain(line) for line in kept_out if line[0] != "#"} >= set(LOCAL.values())


def test_locked_requirements_have_hashes_and_name_no_host() -> None:
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        text = path.read_text()
        assert "://" not in text, path
        pins = re.findall(r"^\S+==\S+.*$", text, re.MULTILINE)
        assert all(pin.endswith("\\") for pin in pins), f"{path} has a pin without a hash"


def test_the_tree_names_no_package_registry() -> None:
    """Any mirror must serve: a host in the tree would be asked whatever the machine is set up for."""
    hosts = re.compile(r"(pypi|pythonhosted|npmjs)\.(org|com)")
    assert not [str(path) for path in text_files() if hosts.search(path.read_text(errors="ignore"))]


def text_files() -> Iterator[Path]:
    """What belongs to the repository, more or less: no environments, caches or results."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in MADE_HERE and not name.startswith(".venv")]
        paths = (Path(folder, name) for name in names)
        yield from (path for path in paths if path.suffix in TEXT and path.is_file())
