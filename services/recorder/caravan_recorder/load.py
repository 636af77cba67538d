"""Recorded requests as load: asked again, of another model, in the rhythm in which they came."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import orjson
from caravan_bus.inference import Asked, InferenceClient
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.errors import CaravanError
from caravan_contracts.inference import Verb

from caravan_recorder.options import LoadOptions
from caravan_recorder.recording import Recording

log = logging.getLogger(__name__)

_MAX_ANSWER = 64 * 1024 * 1024


@dataclass(slots=True)
class Report:
    """What came of it. Times in seconds."""

    sent: int = 0
    ok: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    """By code."""
    first: list[float] = field(default_factory=list)
    """To the first bytes of each answer."""
    total: list[float] = field(default_factory=list)
    output_tokens: int = 0
    """As the providers counted them."""
    seconds: float = 0.0
    late: float = 0.0
    """How much later than planned the latest request was sent: more than a little means that `concurrency` held it."""

    @property
    def tokens_per_second(self) -> float:
        """Of all answers together."""
        return self.output_tokens / self.seconds if self.seconds else 0.0


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile; 0.0 of nothing."""
    if not values:
        return 0.0
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


class Load:
    """One run."""

    def __init__(self, client: InferenceClient, recordings: Sequence[Recording], options: LoadOptions) -> None:
        self._client = client
        self._recordings = [recording for recording in recordings if recording.request is not None]
        self._options = options
        self.report = Report()

    @property
    def requests(self) -> int:
        """How many will be sent."""
        return len(self._recordings) * self._options.repeat

    async def run(self, stop: asyncio.Event) -> Report:
        """Send everything, or until `stop`; what is under way then is given up."""
        began = time.monotonic()
        slots = asyncio.Semaphore(self._options.concurrency)
        stopped = asyncio.create_task(stop.wait())
        tasks: set[asyncio.Task[None]] = set()
        try:
            for due, recording in self._plan():
                await self._wait(stopped, began + due, slots)
                if stop.is_set():
                    break
                self.report.late = max(self.report.late, time.monotonic() - began - due)
                task = asyncio.create_task(self._send(recording, slots))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            while tasks and not stopped.done():
                await asyncio.wait({*tasks, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            for task in list(tasks):
                task.cancel()
            await asyncio.gather(*tasks, stopped, return_exceptions=True)
        self.report.seconds = time.monotonic() - began
        return self.report

    def _plan(self) -> Iterator[tuple[float, Recording]]:
        """Each request and when it is due, in seconds after the start."""
        options, recordings = self._options, self._recordings
        if not recordings:
            return
        first = recordings[0].at
        offsets = [(recording.at - first).total_seconds() for recording in recordings]
        span = offsets[-1] + (offsets[-1] / (len(offsets) - 1) if len(offsets) > 1 else 0.0)
        for round_ in range(options.repeat):
            for i, recording in enumerate(recordings):
                if options.rate > 0:
                    yield (round_ * len(recordings) + i) / options.rate, recording
                elif options.speed > 0:
                    yield (round_ * span + offsets[i]) / options.speed, recording
                else:
                    yield 0.0, recording

    async def _wait(self, stopped: asyncio.Task[bool], due: float, slots: asyncio.Semaphore) -> None:
        left = due - time.monotonic()
        if left > 0:
            await asyncio.wait({stopped}, timeout=left)
        if stopped.done():
            return
        slot = asyncio.create_task(slots.acquire())
        await asyncio.wait({slot, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not slot.done():
            slot.cancel()

    async def _send(self, recording: Recording, slots: asyncio.Semaphore) -> None:
        report, began = self.report, time.monotonic()
        report.sent += 1
        context = RequestContext(
            f"replay-{report.sent}",
            Principal(recording.tenant, "replay", ("user",)),
            deadline=began + self._options.timeout,
        )
        body = orjson.dumps({**(recording.request or {}), "model": self._options.model})
        asked: Asked | None = None
        try:
            asked = await self._client.ask(Verb(recording.verb), body, context)
            await self._read(asked, began)
            report.ok += 1
            report.total.append(time.monotonic() - began)
        except CaravanError as error:
            report.errors[error.code or type(error).__name__] += 1
            log.info("a request failed: %s", error.message)
        except Exception as error:
            log.exception("a request could not be sent")
            report.errors[type(error).__name__] += 1
        finally:
            slots.release()
            if asked is not None:
                await self._client.finish(asked)

    async def _read(self, asked: Asked, began: float) -> None:
        size, first = 0, False
        while data := await asked.stream.read():
            if not first:
                first = True
                self.report.first.append(time.monotonic() - began)
            size += len(data)
            if size > _MAX_ANSWER:
                raise CaravanError(f"the answer is larger than {_MAX_ANSWER} bytes", code="response_too_large")
        summary = asked.stream.summary
        if summary is not None and summary.usage is not None:
            self.report.output_tokens += summary.usage.completion_tokens
