"""From lines to recordings."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from caravan_recorder.errors import BadCassette
from caravan_recorder.recording import FORMAT, Cassette, Outcome, Piece, Recording

_CUT = "the file ends before this recording does"


def read(path: Path) -> Cassette:
    """See :func:`caravan_recorder.cassette.read`."""
    try:
        with path.open("rb") as file:
            lines = enumerate(file, 1)
            first = next(lines, (1, b""))[1]
            scrubs = _scrubs(path, first)
            recordings = list(_recordings(path, lines))
    except OSError as error:
        raise BadCassette(f"{path} cannot be read: {error.strerror}") from error
    return Cassette(tuple(sorted(recordings, key=lambda recording: recording.at)), scrubs)


def _scrubs(path: Path, line: bytes) -> tuple[str, ...]:
    try:
        head = orjson.loads(line)
        version = int(head["caravan-cassette"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise BadCassette(f"{path} is no file of recordings: its first line does not say so") from error
    if version > FORMAT:
        raise BadCassette(f"{path} has format {version}; this version of Caravan reads up to {FORMAT}")
    return tuple(str(pattern) for pattern in head.get("scrubs", ()))


def _recordings(path: Path, lines: Iterator[tuple[int, bytes]]) -> Iterator[Recording]:
    recording: Recording | None = None
    pieces: list[Piece] = []
    for number, line in lines:
        if not line.strip():
            continue
        try:
            if not line.endswith(b"\n"):
                break  # written half: the recorder was killed
            row = orjson.loads(line)
            if "recording" in row:
                if recording is not None:
                    yield _cut(recording, pieces)
                recording, pieces = _head(row), []
            elif recording is None:
                raise BadCassette(f"{path}:{number}: this line belongs to no recording")
            elif "end" in row:
                yield _ended(recording, pieces, row)
                recording = None
            else:
                pieces.append(Piece(float(row["ms"]), _bytes(row)))
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, binascii.Error) as error:
            raise BadCassette(f"{path}:{number}: this is no line of a recording: {error!r}") from error
    if recording is not None:
        yield _cut(recording, pieces)


def _head(row: dict[str, Any]) -> Recording:
    request = row["request"]
    if request is not None and not isinstance(request, dict):
        raise ValueError("a request is an object")
    return Recording(
        verb=str(row["verb"]),
        model=str(row["model"]),
        request=request,
        stream=bool(row["stream"]),
        include_usage=bool(row.get("include_usage")),
        provider=str(row.get("provider", "")),
        shown_model=str(row.get("shown_model", row["model"])),
        tenant=str(row.get("tenant", "")),
        at=_moment(str(row["at"])),
    )


def _moment(text: str) -> datetime:
    made = datetime.fromisoformat(text)
    return made if made.tzinfo is not None else made.replace(tzinfo=UTC)


def _ended(recording: Recording, pieces: list[Piece], row: dict[str, Any]) -> Recording:
    outcome = Outcome(row["end"])
    return replace(
        recording,
        pieces=tuple(pieces),
        outcome=outcome,
        ms=float(row["ms"]),
        tail=_bytes(row) if outcome is Outcome.COMPLETE else b"",
        summary=dict(row.get("summary", {})),
        error=dict(row.get("error", {})),
        note=str(row.get("note", "")),
    )


def _cut(recording: Recording, pieces: list[Piece]) -> Recording:
    end = pieces[-1].ms if pieces else 0.0
    return replace(recording, pieces=tuple(pieces), outcome=Outcome.INCOMPLETE, ms=end, note=_CUT)


def _bytes(row: dict[str, Any]) -> bytes:
    if "base64" in row:
        return base64.b64decode(row["base64"], validate=True)
    return str(row["data"]).encode()
