"""The whole check: providers and routes for its time, every trial, and what came of them."""

from __future__ import annotations

import queue
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from caravan.cli.gateway import Gateway
from caravan.failover_check.asking import Caller
from caravan.failover_check.attempts import Attempts
from caravan.failover_check.cases import OUTAGE, Pace
from caravan.failover_check.judging import judge
from caravan.failover_check.loop import LoopThread
from caravan.failover_check.outage import try_outage
from caravan.failover_check.outcome import Outcome, Tried
from caravan.failover_check.provider import FaultyProvider
from caravan.failover_check.registering import PREFIX, Registered, provider_id
from caravan.failover_check.scripts import Script, Words
from caravan.failover_check.trying import Case, Trial

_AT_ONCE: Final = 6
"""Trials under way at the same time: more would only wait for each other."""
_LATE: Final = 5.0
"""Seconds past its bound after which a trial is given up."""


@dataclass(frozen=True, slots=True)
class Where:
    """What is checked, and from where."""

    url: str
    """The gateway's."""
    key: str = ""
    host: str = "127.0.0.1"
    """Where the workers reach this machine. The scripted providers listen at every address when it is not its own."""

    @property
    def listen(self) -> str:
        """The address they listen at."""
        return self.host if self.host in ("127.0.0.1", "localhost") else "0.0.0.0"  # noqa: S104 - asked for with --host


class Check:
    """One run. Not to be used again."""

    def __init__(self, where: Where, cases: Iterable[Case], pace: Pace) -> None:
        self._where = where
        self._cases = list(cases)
        self._pace = pace
        self._run = secrets.token_hex(3)  # nobody remembers the targets of another run
        self._caller = Caller(where.url.rstrip("/").removesuffix("/v1"), where.key)
        self._attempts = Attempts()
        self._registered = Registered(Gateway(where.url))
        self.left: list[str] = []
        """Why something that it registered could not be removed."""

    def run(self, on_outcome: Callable[[Outcome], None] = lambda outcome: None) -> list[Outcome]:
        """Every case; `on_outcome` hears of each as it ends. What was registered is gone afterwards, whatever happens.
        Raises StartError when it cannot begin."""
        with LoopThread() as loop, self._providers(loop) as providers:
            urls = {name: f"http://{self._where.host}:{provider.port}/v1" for name, provider in providers.items()}
            try:
                self._registered.clear()
                self._registered.providers(urls)
                self._registered.routes(dict(self._routes()))
                return self._try_all(loop, providers["c"], on_outcome)
            finally:
                problems = self._registered.clear()
                self.left = problems if self._registered.begun else []

    @contextmanager
    def _providers(self, loop: LoopThread) -> Iterator[dict[str, FaultyProvider]]:
        primary: dict[str, Script] = {}
        fallback: dict[str, Script] = {}
        for case, trial in self._trials():
            primary[self._model(case, trial.name)] = trial.primary
            fallback[self._model(case, trial.name)] = trial.fallback or (Words(),)
        outage = self._model(OUTAGE, OUTAGE)
        scripts: dict[str, dict[str, Script]] = {
            "a": primary,
            "b": {**fallback, outage: (Words(),)},
            "c": {outage: (Words(),)},
        }
        made = {name: FaultyProvider(name, rows, self._attempts, self._where.listen) for name, rows in scripts.items()}
        try:
            for provider in made.values():
                loop.run(provider.start())
            yield made
        finally:
            for provider in made.values():
                loop.run(provider.stop())

    def _trials(self) -> Iterator[tuple[str, Trial]]:
        for case in self._cases:
            for trial in case.trials:
                yield case.id, trial

    def _model(self, case: str, trial: str) -> str:
        return f"{case}.{trial}.{self._run}"

    def _route(self, case: str, trial: str) -> str:
        return f"{PREFIX}/{self._model(case, trial)}"

    def _routes(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for case, trial in self._trials():
            model = self._model(case, trial.name)
            names = "ab" if trial.fallback else "a"
            targets = [
                {"model": f"{provider_id(name)}/{model}", **more}
                for name, more in zip(names, trial.targets, strict=False)
            ]
            yield self._route(case, trial.name), {"targets": targets, **trial.route}
        model = self._model(OUTAGE, OUTAGE)
        breaker = {"failures": 3, "open_seconds": self._pace.open_seconds}
        targets = [{"model": f"{provider_id(name)}/{model}"} for name in "cb"]
        yield self._route(OUTAGE, OUTAGE), {"targets": targets, "breaker": breaker}

    def _try_all(
        self, loop: LoopThread, primary: FaultyProvider, on_outcome: Callable[[Outcome], None]
    ) -> list[Outcome]:
        outcomes = {case.id: Outcome(case) for case in self._cases}
        jobs: list[tuple[str, Callable[[], Tried]]] = []
        for case in self._cases:
            if case.id == OUTAGE:
                jobs.insert(0, (case.id, lambda: self._outage(loop, primary)))  # the longest
            jobs += [(case.id, lambda case=case, trial=trial: self._try(case, trial)) for trial in case.trials]  # type: ignore[misc]
        left = {case.id: sum(name == case.id for name, _ in jobs) for case in self._cases}
        for name, tried in _at_once(jobs):
            outcomes[name].tried.append(tried)
            left[name] -= 1
            if not left[name]:
                on_outcome(outcomes[name])
        return list(outcomes.values())

    def _try(self, case: Case, trial: Trial) -> Tried:
        model = self._model(case.id, trial.name)
        answer = self._caller.ask(self._route(case.id, trial.name), stream=trial.stream, timeout=trial.within + _LATE)
        attempts = self._attempts.of(model)
        models = {name: f"{provider_id(name)}/{model}" for name in "ab"}
        return Tried(
            trial.name,
            answer.seconds,
            {name: sum(attempt.provider == name for attempt in attempts) for name in "ab"},
            judge(trial, answer, attempts, models),
            round((answer.first_word - answer.started) * 1000, 1) if answer.first_word else None,
        )

    def _outage(self, loop: LoopThread, primary: FaultyProvider) -> Tried:
        begun = time.monotonic()
        model = self._model(OUTAGE, OUTAGE)
        found = try_outage(
            self._caller,
            self._route(OUTAGE, OUTAGE),
            f"{provider_id('c')}/{model}",
            self._pace,
            lambda: loop.run(primary.stop()),
            lambda: loop.run(primary.start()),
        )
        attempts = {name: len(self._attempts.of(model, name)) for name in "cb"}
        note = f"{found.asked} requests, the longest {found.longest:.2f} s"
        note += f", back after {found.back_after:.1f} s" if found.back_after >= 0 else ""
        return Tried(OUTAGE, time.monotonic() - begun, attempts, found.problems, note=note)


def _at_once(jobs: list[tuple[str, Callable[[], Tried]]]) -> Iterator[tuple[str, Tried]]:
    """Some at a time, as they end. Their threads do not keep a command alive that was stopped with Ctrl-C."""
    waiting: queue.SimpleQueue[tuple[str, Callable[[], Tried]]] = queue.SimpleQueue()
    ended: queue.SimpleQueue[tuple[str, Tried]] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)

    def work() -> None:
        while True:
            try:
                name, job = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                ended.put((name, job()))
            except Exception as error:  # noqa: BLE001 - it is told, and the others go on
                ended.put((name, Tried("?", 0.0, {}, [f"the check itself failed: {error!r}"])))

    for number in range(_AT_ONCE):
        threading.Thread(target=work, name=f"trial-{number}", daemon=True).start()
    for _ in jobs:
        yield ended.get()
