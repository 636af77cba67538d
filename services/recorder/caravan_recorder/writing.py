"""From recordings to lines."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

import orjson
from caravan_contracts import VERSION

from caravan_recorder.errors import BadCassette
from caravan_recorder.normalize import key_of, normalized
from caravan_recorder.recording import FORMAT, Outcome, Recording


class Mode(StrEnum):
    """What to do with a file that exists."""

    NEW = "new"
    """Refuse."""
    REPLACE = "replace"
    APPEND = "append"


_FLAGS = {Mode.NEW: os.O_EXCL, Mode.REPLACE: os.O_TRUNC, Mode.APPEND: 0}

_STEP = 64 * 1024


@contextmanager
def open_for(path: Path, mode: Mode, scrubs: Sequence[str] = ()) -> Iterator[BinaryIO]:
    """The file, open for blocks; an empty one gets its first line. Raises BadCassette."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _FLAGS[mode], 0o600)
    except FileExistsError as error:
        raise BadCassette(f"{path} exists: append to it, replace it, or name another file") from error
    except OSError as error:
        raise BadCassette(f"{path} cannot be written: {error.strerror}") from error
    with os.fdopen(descriptor, "r+b") as file:
        os.fchmod(file.fileno(), 0o600)
        if _to_the_end(file) == 0:
            file.write(_line({"caravan-cassette": FORMAT, "made-by": f"caravan {VERSION}", "scrubs": list(scrubs)}))
            file.flush()
        yield file


def _to_the_end(file: BinaryIO) -> int:
    """Go behind the last whole line, and cut off what a killed recorder left half written; the size in bytes."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        start = max(0, end - _STEP)
        file.seek(start)
        at = file.read(end - start).rfind(b"\n")
        if at >= 0:
            end = start + at + 1
            break
        end = start
    file.truncate(end)
    return file.seek(end)


def block(recording: Recording, number: int) -> bytes:
    """The lines of one recording, the `number`-th of its file."""
    head: dict[str, Any] = {
        "recording": number,
        "at": recording.at.isoformat(timespec="microseconds"),
        "verb": recording.verb,
        "provider": recording.provider,
        "model": recording.model,
        "shown_model": recording.shown_model,
        "stream": recording.stream,
        "include_usage": recording.include_usage,
        "tenant": recording.tenant,
    }
    request = recording.request
    if request is not None:
        head["key"] = key_of(normalized(recording.verb, recording.model, recording.stream, request))
    head["request"] = request
    lines = [_line(head)]
    lines += [_line({"ms": round(piece.ms, 3), **_bytes(piece.data)}) for piece in recording.pieces]
    end: dict[str, Any] = {"ms": round(recording.ms, 3), "end": recording.outcome.value}
    if recording.note:
        end["note"] = recording.note
    if recording.outcome is Outcome.COMPLETE:
        end |= {**_bytes(recording.tail), "summary": recording.summary}
    elif recording.outcome is Outcome.ERROR:
        end["error"] = recording.error
    lines.append(_line(end))
    return b"".join(lines)


def _bytes(data: bytes) -> dict[str, str]:
    try:
        return {"data": data.decode()}
    except UnicodeDecodeError:  # a JSON body may be cut within a character
        return {"base64": base64.b64encode(data).decode()}


def _line(value: dict[str, Any]) -> bytes:
    return orjson.dumps(value) + b"\n"
