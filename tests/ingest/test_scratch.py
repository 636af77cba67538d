"""Folders of documents end with the process that made them, at the latest when the next one starts."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from caravan_vector.ingest import scratch

READING = """
import sys, tempfile
from caravan_vector.ingest import scratch
tempfile.tempdir = sys.argv[1]
with scratch.folder() as made:
    (made / "document").write_text("of a tenant")
    print(made, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def reader(place: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process, with a document in its folder."""
    command = [sys.executable, "-c", READING, str(place)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def document(reader: subprocess.Popen[str]) -> Path:
    assert reader.stdout is not None
    return Path(reader.stdout.readline().strip()) / "document"


def test_a_folder_is_there_for_its_block_and_for_this_user_alone(place: Path) -> None:
    with scratch.folder() as made:
        assert made.parent == place and made.stat().st_mode & 0o777 == 0o700
        (made / "document").write_text("x")
    assert list(place.iterdir()) == []


def test_what_a_killed_process_left_is_removed(reader: subprocess.Popen[str], place: Path) -> None:
    left = document(reader)
    reader.kill()
    reader.wait(60)
    assert left.exists()
    assert scratch.clear() == 1
    assert list(place.iterdir()) == []


def test_what_others_use_stays(reader: subprocess.Popen[str]) -> None:
    used = document(reader)
    with scratch.folder() as own:
        assert scratch.clear() == 0
        assert used.read_text() == "of a tenant" and own.exists()


def test_only_folders_of_ours_are_removed(place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (place / "caravan-vector-link").symlink_to(elsewhere)
    (place / "caravan-vector-file").touch()
    (place / "another").mkdir()
    assert scratch.clear() == 0
    assert elsewhere.exists() and len(list(place.iterdir())) == 3


def test_a_folder_that_somebody_clears_away_before_it_is_locked_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    make = tempfile.mkdtemp
    first: list[str] = []

    def robbed(prefix: str) -> str:
        made = make(prefix=prefix)
        if not first:
            first.append(made)
            assert scratch.clear() == 1
        return made

    monkeypatch.setattr(tempfile, "mkdtemp", robbed)
    with scratch.folder() as second:
        assert second.exists() and str(second) != first[0]
