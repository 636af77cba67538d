"""A stream that broke after its first byte goes on at another target, or at the same one.

In this order: the text so far as the beginning of the target's own answer (prefill), where that can be; otherwise, or
when the target refuses that, a replay from the beginning, whose words are skipped as long as they are those that the
client has. What differs is never shown.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from caravan_contracts.errors import CaravanError, UpstreamBroke, UpstreamRefused
from caravan_contracts.inference import DONE_EVENT, Summary

from caravan_bus import metrics
from caravan_bus.routing.attempts import Attempts, too_late
from caravan_bus.routing.delivered import Delivered
from caravan_bus.routing.health import Use
from caravan_bus.routing.keeping import Kept, silence
from caravan_bus.routing.prefill import can_prefill, prefilled
from caravan_bus.routing.retry import Fault, fault_of
from caravan_bus.routing.splice import Diverged, Splice

if TYPE_CHECKING:
    from caravan_bus.routing.targets import Candidate

log = logging.getLogger(__name__)
_ANSWERS = (Fault.REFUSED, Fault.TOO_LONG)


class Continuing:
    """Of one stream. `splice` is what the current target's data go through; None while it is the first target."""

    def __init__(self, attempts: Attempts, kept: Kept) -> None:
        self._attempts = attempts
        self._kept = kept
        self._joined: set[int] = set()
        self._diverged = False
        self._broke: CaravanError | None = None
        self.splice: Splice | None = None
        self.finished: Summary | None = None
        """How a stream went whose client had all of the answer when it broke."""

    async def after(self, error: CaravanError) -> bytes:
        """The next bytes for the client, from whoever goes on; maybe none yet. Raises what broke the stream first when
        nobody does."""
        attempts, fault = self._attempts, fault_of(error)
        attempts.failed(error)
        attempts.cancel()
        self._broke = self._broke or error
        self._diverged = self._diverged or isinstance(error, Diverged)
        if self._kept.over or fault in _ANSWERS or attempts.remaining <= 0:
            raise error
        delivered = self._kept.read()
        if delivered.whole:
            if await self._is_finished(delivered):
                return self._finish(delivered)
            for index in self._order(fault):
                piece = await self._join(index, delivered)
                if piece is not None:
                    return piece
        metrics.CONTINUATIONS.labels(attempts.name, "none").inc()
        raise self._broke

    async def _is_finished(self, delivered: Delivered) -> bool:
        """Whether only the end of the stream is missing."""
        if not delivered.finished or any(choice not in delivered.finished for choice, _ in delivered.texts):
            return False
        # of several choices one may not even have begun
        return b'"n"' not in await self._attempts.call.body()

    def _finish(self, delivered: Delivered) -> bytes:
        metrics.CONTINUATIONS.labels(self._attempts.name, "finished").inc()
        self.finished = Summary(delivered.id, "", delivered.finished.get(0, ""), delivered.usage)
        return DONE_EVENT

    def _order(self, fault: Fault) -> list[int]:
        """Who may go on. The target that broke comes last, unless only its worker was lost."""
        attempts = self._attempts
        here = attempts.index
        others = [index for index in range(len(attempts.candidates)) if index != here]
        order = [here, *others] if fault is Fault.UNAVAILABLE else [*others, here]
        return [index for index in order if index not in self._joined and self._may_ask(attempts.candidates[index])]

    def _may_ask(self, candidate: Candidate) -> bool:
        state = self._attempts.state
        usable = state.health.use(candidate.key) in (Use.YES, Use.PROBE)
        return usable and not state.loads.full(candidate.key, candidate.options.limits)

    async def _join(self, index: int, delivered: Delivered) -> bytes | None:
        """Have a candidate go on; None when it does not."""
        self._joined.add(index)
        attempts = self._attempts
        candidate, verb = attempts.candidates[index], attempts.call.request.verb
        text = delivered.text()
        body: bytes | None = None
        if text and can_prefill(verb, candidate):
            body = prefilled(verb, await attempts.call.body(), text, delivered.tokens, candidate)
        if body is not None:
            piece, again = await self._try(index, body, Splice(delivered, replay=False))
            if not again:
                return piece
        if self._diverged:
            return None  # the client has words that nobody says again
        piece, _ = await self._try(index, None, Splice(delivered, replay=True))
        return piece

    async def _try(self, index: int, body: bytes | None, splice: Splice) -> tuple[bytes | None, bool]:
        """The first bytes a candidate adds; None when it fails, and whether it only refused to be asked like this."""
        attempts = self._attempts
        how = "replay" if body is None else "prefill"
        try:
            piece = await self._start(index, body, splice)
        except CaravanError as error:
            attempts.failed(error)
            attempts.cancel()
            self._diverged = self._diverged or isinstance(error, Diverged)
            log.info("%s does not go on with a stream (%s): %s", attempts.candidate.id, how, error.message)
            return None, fault_of(error) in _ANSWERS and isinstance(error, UpstreamRefused)
        metrics.CONTINUATIONS.labels(attempts.name, how).inc()
        log.info("%s goes on with a stream (%s)", attempts.candidate.id, how)
        return piece, False

    async def _start(self, index: int, body: bytes | None, splice: Splice) -> bytes:
        attempts = self._attempts
        await attempts.send(index, body)
        self.splice = splice
        between = silence(attempts.route.timeouts)
        patience = attempts.patience() or between
        while True:
            data = await attempts.within(patience, attempts.stream.read, too_late)
            attempts.alive()
            piece = splice.feed(data) if data else b""
            if piece or not data or attempts.told is not None:
                return piece
            patience = between


def stalled(target: str) -> CaravanError:
    """Silence in the middle of a stream."""
    return UpstreamBroke(f"{target} stopped in the middle of its stream", code="stream_stalled")
