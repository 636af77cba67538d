"""Asking one target after another, and remembering how each attempt went."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from caravan_contracts.errors import CaravanError, UpstreamFailed, UpstreamRefused
from caravan_contracts.inference import CallSpec, Summary
from caravan_contracts.routes import RouteSpec, Target

from caravan_bus import metrics
from caravan_bus.router import RoutedStream
from caravan_bus.routing.call import Call
from caravan_bus.routing.health import Use
from caravan_bus.routing.retry import Course, Fault, Step, fault_of
from caravan_bus.routing.splice import Diverged
from caravan_bus.routing.state import RoutingState
from caravan_bus.routing.targets import Candidate

log = logging.getLogger(__name__)

T = TypeVar("T")

PROBE_SECONDS: Final = 10.0
"""Longest wait for the first token of a stream that is a probe, when its route does not say."""
NO_ROUTE: Final = RouteSpec(targets=[Target(model="-")])
"""The policy of a model without a route."""


class Attempts:
    """Of one request. One attempt is under way at a time; :attr:`stream` is its answer."""

    __slots__ = (
        "_course",
        "_first",
        "_held",
        "_probing",
        "_stream",
        "began",
        "call",
        "candidates",
        "count",
        "index",
        "name",
        "route",
        "spec",
        "state",
    )

    def __init__(
        self,
        call: Call,
        candidates: tuple[Candidate, ...],
        state: RoutingState,
        name: str = "",
        route: RouteSpec = NO_ROUTE,
    ) -> None:
        """`name` and `route` of a request for a route; without them there is one candidate, and nothing is remembered
        of it."""
        self.call = call
        self.candidates = candidates
        self.state = state
        self.name = name
        self.route = route
        self.index = 0
        self.count = 0
        self.spec: CallSpec = call.spec(candidates[0])
        self.began = 0.0
        """When the worker accepted the current one, by the loop's clock."""
        self._stream: RoutedStream | None = None
        self._course: Course | None = None
        self._first: CaravanError | None = None
        self._held = False
        self._probing = False

    @property
    def stream(self) -> RoutedStream:
        """The answer to the current attempt."""
        if self._stream is None:
            raise RuntimeError("read before open()")
        return self._stream

    @property
    def candidate(self) -> Candidate:
        """Who is asked."""
        return self.candidates[self.index]

    @property
    def told(self) -> Summary | None:
        """What the END frame of the current attempt told."""
        return self._stream.summary if self._stream is not None else None

    @property
    def worker(self) -> str:
        """Who serves it."""
        return self._stream.worker if self._stream is not None else ""

    @property
    def remaining(self) -> float:
        """Seconds of the request."""
        return self.call.request.context.remaining

    async def begin(self) -> None:
        """Ask the first candidate, or whoever accepts. Raises what the last of them failed with."""
        try:
            await self.send(0)
        except CaravanError as error:
            await self.again(error)

    async def again(self, error: CaravanError) -> None:
        """The current attempt failed with `error`: ask again, or elsewhere. Raises when nothing is left to try."""
        self.failed(error)
        await self._launch(self._after(error))

    async def send(self, index: int, body: bytes | None = None) -> None:
        """Ask one candidate."""
        candidate = self.candidates[index]
        if index != self.index:
            self.index = index
            self.spec = self.call.spec(candidate)
        self.count += 1
        if self._course is not None:
            self._course.begin(index)
        self._stream = None
        if self.name:
            self._hold(candidate)
        try:
            self._stream = await self.call.send(candidate, self.spec, self.count, body)
        except BaseException:
            self._settle()
            raise
        if self.name:
            self.began = asyncio.get_running_loop().time()

    def patience(self) -> float | None:
        """Seconds for the first token; for all of an answer that does not stream."""
        if not self.name:
            return None
        said = self.route.timeouts
        limits = [limit for limit in (said.first_token, said.total) if limit is not None]
        if self._probing and not limits and self.call.request.facts.stream and len(self.candidates) > 1:
            limits.append(PROBE_SECONDS)
        return min(limits, default=None)

    async def within(
        self, seconds: float | None, wait: Callable[[], Awaitable[T]], late: Callable[[str], CaravanError]
    ) -> T:
        """The result of `wait`; when it takes longer the attempt is given up and `late` raised."""
        if seconds is None:
            return await wait()
        try:
            async with asyncio.timeout(seconds) as limit:
                return await wait()
        except TimeoutError as error:
            if not limit.expired():
                raise
            self.cancel()
            raise late(self.candidate.id) from error

    def alive(self) -> None:
        """The target began to answer."""
        if self._probing:
            self._probing = False
            self.state.health.alive(self.candidate.key)

    def ended(self) -> None:
        """The answer is complete."""
        if self._held:
            self.state.health.succeeded(self.candidate.key, self.route.breaker)
            metrics.ATTEMPTS.labels(self.name, self.candidate.id, "ok").inc()
            self._settle()

    def failed(self, error: CaravanError) -> None:
        """The current attempt did."""
        if not self.name:
            return
        fault = self._fault(error)
        health, breaker, key = self.state.health, self.route.breaker, self.candidate.key
        metrics.ATTEMPTS.labels(self.name, self.candidate.id, fault.value).inc()
        if fault is Fault.LIMITED and error.retry_after is not None:
            health.limited(key, error.retry_after, breaker)
        elif fault in (Fault.BROKEN, Fault.SILENT, Fault.LIMITED) and not isinstance(error, Diverged):
            health.failed(key, breaker)
        elif fault is Fault.TOO_LONG or isinstance(error, UpstreamRefused):
            health.alive(key)
        elif self._probing:
            health.unknown(key)
        self._probing = False
        self._settle()

    def cancel(self) -> None:
        """Give the current attempt up; harmless at any time."""
        if self._stream is not None:
            self._stream.cancel()
        self._settle()

    async def _launch(self, step: Step) -> None:
        while True:
            if step.wait:
                await asyncio.sleep(step.wait)
            try:
                await self.send(step.index)
            except CaravanError as error:
                self.failed(error)
                step = self._after(error)
            else:
                return

    def _after(self, error: CaravanError) -> Step:
        """What is tried next; raises when nothing is left to try."""
        course, fault = self._course_so_far(), self._fault(error)
        if self._first is None or fault_of(self._first) is Fault.UNAVAILABLE:
            self._first = error
        step = course.after(self.index, fault, error.retry_after, self.state.clock(), self.remaining)
        if course.spent:
            course.spent = False
            metrics.RETRY_BUDGET_SPENT.labels(self.name).inc()
        if step is None:
            # a refusal is an answer; otherwise what went wrong first says more than what came of it
            raise error if fault in (Fault.REFUSED, Fault.TOO_LONG) else self._first
        counted = metrics.TARGET_RETRIES if step.again else metrics.FAILOVERS
        counted.labels(self.name, fault.value).inc()
        log.info(
            "%s failed (%s), next is %s",
            self.candidate.id,
            error.code,
            self.candidates[step.index].id,
            extra={"request_id": self.call.request.context.request_id, "wait": round(step.wait, 3)},
        )
        return step

    def _fault(self, error: CaravanError) -> Fault:
        fault = fault_of(error)
        # before a worker accepted it was us who said 429: that tells nothing of the target
        return Fault.UNAVAILABLE if fault is Fault.LIMITED and self._stream is None else fault

    def _course_so_far(self) -> Course:
        """Made at the first failure: most requests have none."""
        if self._course is None:
            retry, state = self.route.retry, self.state
            budget = state.budget(self.name or self.candidate.id)
            sizes = [candidate.context_length for candidate in self.candidates]
            self._course = Course(sizes, retry, lambda: budget.take(state.clock(), retry.budget))
            self._course.begin(self.index)
        return self._course

    def _hold(self, candidate: Candidate) -> None:
        health = self.state.health
        self._probing = health.use(candidate.key) is Use.PROBE
        if self._probing:
            health.probe(candidate.key)
        self.state.loads.take(candidate.key)
        self._held = True

    def _settle(self) -> None:
        """The current attempt is over."""
        if not self._held:
            return
        self._held = False
        key = self.candidate.key
        if self._probing:
            self._probing = False
            self.state.health.unknown(key)
        told = self.told
        usage = told.usage if told is not None else None
        self.state.loads.give_back(key, usage.prompt_tokens + usage.completion_tokens if usage is not None else 0)


def too_late(target: str) -> CaravanError:
    """No first token in time."""
    made = UpstreamFailed(f"{target} sent no first token in time", code="first_token_timeout")
    made.status = 504
    return made
