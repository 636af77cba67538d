"""From a tape to a recording: secrets are taken out here, and what cannot be cleaned is not kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from caravan_contracts import frames as f

from caravan_recorder.recording import Outcome, Piece, Recording
from caravan_recorder.scrub import Scrubber, without
from caravan_recorder.tapes import Loss, Tape


def made(tape: Tape, scrubber: Scrubber) -> Recording | Loss:
    """The recording of a tape, or why there can be none."""
    secrets: set[str] = set()
    try:
        request = scrubber.value(_request(tape), secrets)
        pieces, tail, outcome, summary, error, ms = _answer(tape)
    except (ValueError, TypeError, RecursionError):
        return Loss.UNREADABLE
    cleaned = [_cleaned(part, scrubber, secrets) for part in (*(piece.data for piece in pieces), tail)]
    if _spread(cleaned, tape.spec.stream, scrubber, secrets):
        return Loss.SECRET
    return Recording(
        verb=tape.verb,
        model=tape.spec.model,
        request=request,
        pieces=tuple(Piece(piece.ms, data) for piece, data in zip(pieces, cleaned, strict=False)),
        tail=cleaned[-1],
        outcome=outcome,
        summary=summary,
        error=scrubber.value(error),
        ms=ms,
        stream=tape.spec.stream,
        include_usage=tape.spec.include_usage,
        provider=tape.spec.provider,
        shown_model=tape.spec.shown_model,
        tenant=tape.tenant,
        at=tape.at,
        note=tape.note,
    )


def _request(tape: Tape) -> dict[str, Any] | None:
    if not tape.body and tape.note:
        return None
    request = orjson.loads(tape.body)
    if not isinstance(request, dict):
        raise ValueError("a request is an object")
    return request


def _answer(tape: Tape) -> tuple[list[Piece], bytes, Outcome, dict[str, Any], dict[str, Any], float]:
    pieces: list[Piece] = []
    tail, ms = b"", 0.0
    summary: dict[str, Any] = {}
    error: dict[str, Any] = {}
    outcome = Outcome.INCOMPLETE
    for when, kind, payload in tape.in_order():
        ms = (when - tape.began) * 1000
        if kind == f.Kind.DATA:
            pieces.append(Piece(ms, payload))
        elif kind == f.Kind.END:
            told, tail = f.decode_end(payload)
            outcome, summary = Outcome.COMPLETE, dict(orjson.loads(told))
        else:
            outcome, error = Outcome.ERROR, dict(orjson.loads(payload))
    return pieces, tail, outcome, summary, error, ms


def _cleaned(data: bytes, scrubber: Scrubber, secrets: set[str]) -> bytes:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return data  # cut within a character; `_spread` looks at the whole
    clean = without(scrubber.text(text), secrets)
    return data if clean == text else clean.encode()


def _spread(parts: list[bytes], stream: bool, scrubber: Scrubber, secrets: set[str]) -> bool:
    """Whether a secret shows only when the pieces are put together: tokens of a model are shorter than a key."""
    whole = b"".join(parts).decode("utf-8", "replace")
    texts = [whole, *_spoken(whole)] if stream else [whole]
    return any(without(scrubber.text(text), secrets) != text for text in texts)


def _spoken(events: str) -> Iterable[str]:
    """What the deltas of each choice, or block of a message, say, put together."""
    said: dict[str, list[str]] = {}
    for line in events.splitlines():
        if not line.startswith("data:"):
            continue
        try:
            chunk = orjson.loads(line[5:])
        except orjson.JSONDecodeError:
            continue  # [DONE], or an event that is cut off
        for choice in _parts(chunk):
            for path, text in _strings(choice, str(choice.get("index")) if isinstance(choice, dict) else ""):
                said.setdefault(path, []).append(text)
    return ["".join(parts) for parts in said.values()]


def _parts(chunk: Any) -> list[Any]:
    """What an event says: its choices, or in Anthropic's words itself."""
    if not isinstance(chunk, dict):
        return []
    choices = chunk.get("choices", [chunk] if "delta" in chunk else None)
    return choices if isinstance(choices, list) else []


def _strings(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _strings(part, f"{path}.{name}")
    elif isinstance(value, list):
        for i, part in enumerate(value):
            # tool calls say their own index: each event holds only those that grow
            own = part.get("index", i) if isinstance(part, dict) else i
            yield from _strings(part, f"{path}.{own}")
