"""Files of recordings: what is written is read again, and what is broken is told."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from caravan_contracts.inference import Verb
from caravan_recorder import cassette, writing
from caravan_recorder.cassette import Outcome, Piece, Recording
from caravan_recorder.errors import BadCassette
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
TEXT = st.text(max_size=20)
MS = st.integers(0, 10**9).map(lambda us: us / 1000)
RECORDINGS = st.builds(
    Recording,
    verb=st.sampled_from(["chat", "embeddings"]),
    model=TEXT,
    request=st.none() | st.dictionaries(TEXT, TEXT | st.integers(-9, 9) | st.lists(TEXT, max_size=2), max_size=3),
    pieces=st.lists(st.builds(Piece, MS, st.binary(max_size=40)), max_size=4).map(tuple),
    tail=st.binary(max_size=40),
    summary=st.dictionaries(TEXT, TEXT, max_size=2),
    ms=MS,
    stream=st.booleans(),
    include_usage=st.booleans(),
    provider=TEXT,
    shown_model=TEXT,
    tenant=TEXT,
    at=st.just(NOW),
    note=TEXT,
)


def one(**changes: object) -> Recording:
    made = cassette.streamed("m", {"model": "p/m", "messages": []}, [{"choices": []}, {"choices": []}], gap_ms=20)
    return replace(made, **{"at": NOW, **changes})  # type: ignore[arg-type]


@given(st.lists(RECORDINGS, max_size=3))
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, recordings: list[Recording]) -> None:
    path = tmp_path_factory.mktemp("cassettes") / "x.jsonl"
    cassette.write(path, recordings, ["emp-[0-9]+"])
    read = cassette.read(path)
    assert list(read.recordings) == recordings
    assert read.scrubs == ("emp-[0-9]+",)


def test_errors_and_incomplete_answers_are_marked(tmp_path: Path) -> None:
    error = {"error": {"message": "no", "type": "t", "param": None, "code": "c"}, "status": 429}
    failed = one(outcome=Outcome.ERROR, error=error, tail=b"", summary={})
    broken = one(outcome=Outcome.INCOMPLETE, note="its client left", tail=b"", summary={})
    cassette.write(tmp_path / "x", [failed, broken])
    assert cassette.read(tmp_path / "x").recordings == (failed, broken)


def test_a_file_is_for_its_owner_alone_and_one_line_per_piece(tmp_path: Path) -> None:
    cassette.write(tmp_path / "deep" / "x.jsonl", [one()])
    path = tmp_path / "deep" / "x.jsonl"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [next(iter(line)) for line in lines] == ["caravan-cassette", "recording", "ms", "ms", "ms"]
    assert lines[2] == {"ms": 20.0, "data": 'data: {"choices":[]}\n\n'}
    assert lines[4]["end"] == "complete"


def test_recordings_come_in_the_order_in_which_they_were_asked_for(tmp_path: Path) -> None:
    late, early = one(model="late"), one(model="early", at=NOW - timedelta(seconds=1))
    cassette.write(tmp_path / "x", [late, early])
    assert [recording.model for recording in cassette.read(tmp_path / "x").recordings] == ["early", "late"]


@pytest.mark.parametrize("cut", [1, 60, 200])
def test_a_file_cut_off_by_a_kill_ends_with_an_incomplete_recording(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "x"
    cassette.write(path, [one(), one()])
    path.write_bytes(path.read_bytes()[:-cut])
    first, second = cassette.read(path).recordings
    assert first == one()
    assert second.outcome is Outcome.INCOMPLETE
    with writing.open_for(path, writing.Mode.APPEND) as file:
        file.write(writing.block(one(model="appended"), 3))
    assert [recording.outcome.value for recording in cassette.read(path).recordings] == [
        "complete", "incomplete", "complete",
    ]  # fmt: skip


def test_a_file_that_exists_is_not_overwritten_unasked(tmp_path: Path) -> None:
    cassette.write(tmp_path / "x", [])
    with pytest.raises(BadCassette, match="exists"), writing.open_for(tmp_path / "x", writing.Mode.NEW):
        pass


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no file of recordings"),
        ("hello\n", "no file of recordings"),
        ('{"caravan-cassette": 2}\n', "format 2"),
        ('{"caravan-cassette": 1}\n{"ms": 1, "data": ""}\n', ":2: this line belongs to no recording"),
        ('{"caravan-cassette": 1}\n\n{"recording": 1}\n', ":3: this is no line of a recording"),
        ('{"caravan-cassette": 1}\nhello\n', ":2: this is no line of a recording"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "x").write_text(text)
    with pytest.raises(BadCassette, match=problem):
        cassette.read(tmp_path / "x")


def test_answers_made_by_hand(tmp_path: Path) -> None:
    request = {"model": "e", "input": "a"}
    made = cassette.answered("e", request, {"data": []}, Verb.EMBEDDINGS, ms=5)
    cassette.write(tmp_path / "x", [made])
    read = cassette.read(tmp_path / "x").recordings[0]
    assert (read.answer, read.verb, read.request) == (b'{"data":[]}', "embeddings", request)
    assert one().answer == b'data: {"choices":[]}\n\n' * 2 + b"data: [DONE]\n\n"
    with pytest.raises(BadCassette, match="names its model"):
        cassette.streamed("m", {"messages": []}, [])
