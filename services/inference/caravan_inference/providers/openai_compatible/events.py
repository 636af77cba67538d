"""An upstream's stream on its way through: cut into whole events, its model renamed, its end understood.

Nothing is parsed but the first event, the last ones, and events that carry usage. Everything that one read of the
upstream brought goes on in one piece. Of what is in the middle only its outline is looked at.
"""

from __future__ import annotations

import json
import logging

import orjson
from caravan_bus import metrics
from caravan_contracts.errors import CaravanError, UpstreamBroke
from caravan_contracts.inference import Summary, Usage

from caravan_inference.body import event_object, first_string, last_object
from caravan_inference.providers.openai_compatible.malformed import without_malformed
from caravan_inference.providers.openai_compatible.outline import Outline, learn
from caravan_inference.providers.openai_compatible.refusals import in_band_error

log = logging.getLogger(__name__)

MAX_EVENT = 4 * 1024 * 1024
"""Largest single event in bytes: one without an end must not fill the memory."""
_DONE = (b"data: [DONE]", b"data:[DONE]")


class EventForwarder:
    """For one stream. Feed it reads, send on what it returns, and ask it at the end how the stream went."""

    __slots__ = (
        "_crlf",
        "_keep_usage",
        "_outline",
        "_shown",
        "_tail",
        "done",
        "error",
        "finish_reason",
        "model",
        "response_id",
        "usage",
    )

    def __init__(self, shown_model: str, keep_usage: bool) -> None:
        self._shown = shown_model
        self._keep_usage = keep_usage
        self._tail = b""
        self._crlf = False
        self._outline: Outline | None = None
        self.done = False
        self.error: CaravanError | None = None
        self.finish_reason = ""
        self.response_id = ""
        self.model = ""
        self.usage: Usage | None = None

    def feed(self, chunk: bytes) -> bytes:
        """The whole events that `chunk` completes, ready to be sent on; b"" when it completes none.

        When an event carries the upstream's own error, what came before it is returned and :attr:`error` is set.
        """
        outline = self._outline
        if outline is not None and not self._tail and not self._crlf and not self.finish_reason:
            middle = outline.middle(chunk)  # most reads are whole events and nothing else
            if middle is not None:
                return middle
        if self._tail:
            chunk = self._tail + chunk
        if self._crlf or (self._outline is None and b"\r\n" in chunk):
            self._crlf = True
            # a lone \r at the end may be half of a line break
            held = b"\r" if chunk.endswith(b"\r") else b""
            chunk = chunk[: len(chunk) - len(held)].replace(b"\r\n", b"\n") + held
        cut = chunk.rfind(b"\n\n") + 2
        if cut == 1:
            self._tail = chunk
            if len(chunk) > MAX_EVENT:
                raise UpstreamBroke(f"the provider sent an event of more than {MAX_EVENT} bytes")
            return b""
        self._tail = chunk[cut:]
        ready = chunk[:cut] if self._tail else chunk
        if self._outline is None:
            self._settle(ready)
        if self._outline is None or self.finish_reason:
            return self._read(ready)
        middle = self._outline.middle(ready)
        return middle if middle is not None else self._not_only_middle(self._outline, ready)

    def _not_only_middle(self, outline: Outline, ready: bytes) -> bytes:
        """What is learned of a stream stands at its end: of a read that ends it, only the last events are read."""
        cut = outline.unfinished(ready)
        if not cut:
            return self._read(ready)
        head = ready[:cut]
        middle = outline.middle(head) if cut < len(ready) else None
        if middle is not None:
            return middle + self._read(ready[cut:])
        self._outline = outline.learn(head)
        return self._read(ready)

    def _read(self, ready: bytes) -> bytes:
        """The events that may say something: at the beginning and at the end."""
        if b'"error"' in ready:
            ready = self._cut_error(ready)
        ready = self._without_malformed(ready)
        if self._outline is not None:
            ready = self._outline.renamed(ready)
        if b'"usage":' in ready and (b'"usage":{' in ready or b'"usage": {' in ready):
            ready = self._take_usage(ready)
        # every event may carry a null one, so only a string is looked for; two searches cost less than a pattern
        if b'"finish_reason":"' in ready or b'"finish_reason": "' in ready:
            self._note_finish(ready)
        return self._cut_done(ready) if b"[DONE]" in ready else ready

    def rest(self) -> bytes:
        """What an upstream that forgot the last blank line left behind, as a whole event."""
        tail, self._tail = self._tail.strip(), b""
        return self.feed(tail + b"\n\n") if tail else b""

    def summary(self, first_token_ms: float) -> Summary:
        """How the stream went. Raises UpstreamBroke when it has not ended: no ``[DONE]`` and no finish reason."""
        if not self.done and not self.finish_reason:
            raise UpstreamBroke("the provider's stream ended before it was finished")
        return Summary(self.response_id, self.model, self.finish_reason, self.usage, first_token_ms)

    def _without_malformed(self, ready: bytes) -> bytes:
        ready, count = without_malformed(ready)
        if count:
            log.warning("a provider sent %d events that are no JSON; they are left out", count)
            metrics.MALFORMED_EVENTS.inc(count)
        return ready

    def _settle(self, ready: bytes) -> None:
        """Learn from the first event how this upstream writes its model; the same bytes stand in every event."""
        found = first_string(ready, b"model")
        identity = first_string(ready, b"id")
        if found is None:
            return  # a comment or an event without a model: look again at the next one
        raw, self.model = found
        self.response_id = identity[1] if identity else ""
        put = raw
        if self.model != self._shown:
            put = raw[: raw.index(b'"', raw.index(b":"))] + json.dumps(self._shown).encode()
        self._outline = learn(raw, put, ready)

    def _note_finish(self, ready: bytes) -> None:
        at = max(ready.rfind(b'"finish_reason":"'), ready.rfind(b'"finish_reason": "'))
        found = first_string(ready[at : at + 96], b"finish_reason")
        self.finish_reason = found[1] if found is not None else self.finish_reason

    def _take_usage(self, ready: bytes) -> bytes:
        """Read the events that carry usage; the others, which may be many, are not looked at."""
        at = 0
        while True:
            found = [i for i in (ready.find(b'"usage":{', at), ready.find(b'"usage": {', at)) if i >= 0]
            if not found:
                return ready
            start = ready.rfind(b"\n\n", 0, min(found)) + 2 if b"\n\n" in ready[: min(found)] else 0
            stop = ready.index(b"\n\n", min(found)) + 2
            event = ready[start:stop]
            data = event_object(event)
            found_usage = data.get("usage") if data is not None else None
            self.usage = Usage.from_openai(found_usage or last_object(event, b"usage")) or self.usage
            if not self._keep_usage and data is not None and not data.get("choices"):
                ready = ready[:start] + ready[stop:]
                at = start
            else:
                at = stop

    def _cut_done(self, ready: bytes) -> bytes:
        """What stands before the end mark. Inside an event it would follow an escaped line break, never a real one."""
        for mark in _DONE:
            at = 0 if ready.startswith(mark) else ready.find(b"\n" + mark) + 1
            if at or ready.startswith(mark):
                self.done = True
                return ready[:at]
        return ready

    def _cut_error(self, ready: bytes) -> bytes:
        """What stands before an error event; the error itself goes to :attr:`error`."""
        at = 0
        for event in ready.split(b"\n\n"):
            if b'"error"' in event and (start := event.find(b"{")) >= 0 and _is_error(event[start:]):
                self.error = in_band_error(event[start:]) or UpstreamBroke("the provider's stream broke")
                return ready[:at]
            at += len(event) + 2
        return ready


def _is_error(event: bytes) -> bool:
    try:
        data = orjson.loads(event)
    except orjson.JSONDecodeError:
        return False
    return isinstance(data, dict) and bool(data.get("error") or data.get("object") == "error")
