"""Recordings in a file: JSON Lines that a person can read and compare. The way in for tests of your own::

    from caravan_recorder import cassette

    for recording in cassette.read("weather.jsonl").recordings:
        print(recording.model, recording.request, recording.answer)

    request = {"model": "any", "messages": [{"role": "user", "content": "Hello"}]}
    cassette.write("made.jsonl", [cassette.streamed("any", request, [chunk, chunk], gap_ms=20)])

The format is told in docs/recording.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from caravan_contracts.inference import DONE_EVENT, EVENT_STREAM, JSON_BODY, Summary, Verb

from caravan_recorder import reading, writing
from caravan_recorder.errors import BadCassette
from caravan_recorder.recording import FORMAT, Cassette, Outcome, Piece, Recording

__all__ = ["FORMAT", "Cassette", "Outcome", "Piece", "Recording", "answered", "read", "streamed", "write"]


def read(path: str | os.PathLike[str]) -> Cassette:
    """Read a file. Raises BadCassette naming the line; a last recording that is cut off counts as incomplete."""
    return reading.read(Path(path))


def write(path: str | os.PathLike[str], recordings: Iterable[Recording], scrubs: Sequence[str] = ()) -> None:
    """Write a file of mode 0600 in place of what was there. Nothing is scrubbed here. Raises BadCassette."""
    with writing.open_for(Path(path), writing.Mode.REPLACE, scrubs) as file:
        for number, recording in enumerate(recordings, 1):
            file.write(writing.block(recording, number))


def streamed(
    model: str, request: Mapping[str, Any], chunks: Iterable[Mapping[str, Any]], gap_ms: float = 0.0
) -> Recording:
    """A streamed chat answer made by hand: one event per chunk, `gap_ms` milliseconds apart, then ``[DONE]``."""
    events = [b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks]
    return Recording(
        Verb.CHAT.value,
        model,
        {**request, "stream": True},
        tuple(Piece(gap_ms * i, event) for i, event in enumerate(events, 1)),
        DONE_EVENT,
        summary=Summary(model=model, content_type=EVENT_STREAM).to_dict(),
        ms=gap_ms * len(events),
        stream=True,
        shown_model=_model(request),
    )


def answered(
    model: str, request: Mapping[str, Any], body: Mapping[str, Any], verb: Verb = Verb.CHAT, ms: float = 0.0
) -> Recording:
    """An answer in one JSON body made by hand, `ms` milliseconds after its request."""
    return Recording(
        verb.value,
        model,
        dict(request),
        (),
        orjson.dumps(body),
        summary=Summary(model=model, content_type=JSON_BODY).to_dict(),
        ms=ms,
        shown_model=_model(request),
    )


def _model(request: Mapping[str, Any]) -> str:
    if not isinstance(request.get("model"), str):
        raise BadCassette("a request names its model")
    return str(request["model"])
