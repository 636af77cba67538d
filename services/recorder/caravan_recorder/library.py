"""Recordings by the requests they answer."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import orjson
from caravan_contracts.errors import InvalidJSON
from caravan_contracts.inference import CallSpec, Verb
from caravan_contracts.registry import DiscoveredModel, ModelType

from caravan_recorder.errors import NoRecording
from caravan_recorder.normalize import Normalized, differences, key_of, normalized
from caravan_recorder.recording import Outcome, Recording
from caravan_recorder.scrub import Scrubber

_COMPARED: Final = 500
"""Recordings that a miss is compared with: it must not hold up the others for long."""
_DIFFERENCES: Final = 20
_QUOTED: Final = 60
_TEXT: Final = 2000


@dataclass(slots=True)
class _Shelf:
    """Equal requests and their answers, in the order in which they were recorded."""

    request: Normalized
    answers: list[Recording] = field(default_factory=list)
    next: int = 0
    unusable: str = ""
    """Why a recording of this request is no answer."""


class Library:
    """Answers for requests. Not thread-safe."""

    def __init__(
        self,
        recordings: Iterable[Recording],
        scrubber: Scrubber,
        ignore: Collection[str] = (),
        loop: bool = False,
        errors: bool = True,
    ) -> None:
        self._scrubber = scrubber
        self._ignore = frozenset(ignore)
        self._loop = loop
        self._shelves: dict[str, _Shelf] = {}
        self._models: dict[str, ModelType] = {}
        self.answers = 0
        """Recordings that can be an answer."""
        self.left_out = 0
        for recording in recordings:
            self._add(recording, errors)

    def models(self) -> list[DiscoveredModel]:
        """The models there are answers of, by name."""
        return [DiscoveredModel(id=name, model_type=kind) for name, kind in sorted(self._models.items())]

    def find(self, verb: str, spec: CallSpec, body: bytes) -> Recording:
        """The next answer to a request. Raises InvalidJSON, NoRecording."""
        wanted = self._normalized(verb, spec, body)
        shelf = self._shelves.get(key_of(wanted))
        if shelf is None or not shelf.answers:
            raise self._miss(wanted, shelf)
        if shelf.next >= len(shelf.answers):
            shelf.next = 0 if self._loop else len(shelf.answers) - 1
        shelf.next += 1
        return shelf.answers[shelf.next - 1]

    def _add(self, recording: Recording, errors: bool) -> None:
        if recording.request is None:
            self.left_out += 1
            return
        request = normalized(recording.verb, recording.model, recording.stream, recording.request, self._ignore)
        shelf = self._shelves.setdefault(key_of(request), _Shelf(request))
        if recording.outcome is Outcome.COMPLETE or (recording.outcome is Outcome.ERROR and errors):
            shelf.answers.append(recording)
            self.answers += 1
            self._models.setdefault(recording.model, _model_type(recording.verb))
        else:
            shelf.unusable = recording.note or f"it ended as {recording.outcome.value}"
            self.left_out += 1

    def _normalized(self, verb: str, spec: CallSpec, body: bytes) -> Normalized:
        try:
            data = orjson.loads(body)
            if not isinstance(data, dict):
                raise InvalidJSON("the body is a JSON object")
            return normalized(verb, spec.model, spec.stream, self._scrubber.value(data), self._ignore)
        except (orjson.JSONDecodeError, RecursionError) as error:
            raise InvalidJSON(f"the body is no JSON that can be read: {error}") from error

    def _miss(self, wanted: Normalized, shelf: _Shelf | None) -> NoRecording:
        said = f"No recording answers this request (key {key_of(wanted)})."
        if shelf is not None:
            return NoRecording(f"{said} There is one, but it is no answer: {shelf.unusable}.")
        nearest = self._nearest(wanted)
        if nearest is None:
            return NoRecording(f"{said} There are no recordings.")
        where = list(islice(differences(nearest.request, wanted), _DIFFERENCES))
        path = where[0]
        then, now = _quoted(nearest.request, path), _quoted(wanted, path)
        more = f" and in {len(where) - 1} more places" if len(where) > 1 else ""
        return NoRecording(
            f"{said} The nearest is {key_of(nearest.request)}. They differ at {path}{more}: "
            f"recorded {then}, asked {now}."
        )

    def _nearest(self, wanted: Normalized) -> _Shelf | None:
        text = _text(wanted)

        def distance(shelf: _Shelf) -> tuple[bool, int, float]:
            count = sum(1 for _ in islice(differences(shelf.request, wanted), _DIFFERENCES))
            alike = difflib.SequenceMatcher(None, text, _text(shelf.request), autojunk=False).real_quick_ratio()
            return shelf.request["verb"] != wanted["verb"], count, -alike

        return min(islice(self._shelves.values(), _COMPARED), key=distance, default=None)


def _model_type(verb: str) -> ModelType:
    if verb == Verb.EMBEDDINGS:
        return ModelType.EMBEDDING
    return ModelType.RERANK if verb == ModelType.RERANK else ModelType.LLM


def _text(request: Normalized) -> str:
    return orjson.dumps(request, option=orjson.OPT_SORT_KEYS).decode()[:_TEXT]


def _quoted(request: Normalized, path: str) -> str:
    value: Any = request["body"]
    if path in request:
        value = request[path]
    else:
        for step in path.replace("[", ".[").split("."):
            try:
                value = value[int(step[1:-1])] if step.startswith("[") else value[step]
            except (KeyError, IndexError, TypeError, ValueError):
                return "nothing"
    text = orjson.dumps(value).decode()
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}…"
