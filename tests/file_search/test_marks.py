"""Marks in a text, however it comes."""

from __future__ import annotations

import time
from typing import Any

import orjson
from caravan_agents.responses.assembly import ResponseObject
from caravan_agents.responses.events import EventWriter
from caravan_agents.responses.items import Item
from caravan_agents.responses.marks import OPEN, CitedFile, CitedFiles, Marks, mark_of, passages
from caravan_agents.responses.request import read_request
from caravan_agents.responses.turn import Hooks
from caravan_agents.runs.rebuild import go_on_in_turn, namer, read_events, writer_at
from caravan_agents.runs.state import State
from caravan_bus.routing.delivered import Delivered
from caravan_bus.routing.splice import Splice
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses.response_output_text import AnnotationFileCitation

from tests.responses.chat import call, chunk, event, stream
from tests.responses.machine import follow

CAMELS, ROUTES = CitedFile("file-camels", "camels.md"), CitedFile("file-routes", "routes.txt")
CAMEL, ROUTE, UNKNOWN = mark_of(CAMELS.id), mark_of(ROUTES.id), mark_of("file-other")
DONE = "response.output_text.done"


def search(*files: CitedFile) -> Item:
    rows = [{"file_id": file.id, "filename": file.name, "text": "x", "score": 0.5} for file in files]
    return {"type": "file_search_call", "id": "fs_1", "queries": ["x"], "results": [*rows, {"error": "x"}]}


def files(*known: CitedFile) -> CitedFiles:
    made = CitedFiles()
    made.learn([search(*known), {"type": "message"}, {"type": "file_search_call", "results": None}])
    return made


KNOWN = files(CAMELS, ROUTES)
bits = st.one_of(
    st.sampled_from(
        [CAMEL, ROUTE, UNKNOWN, CAMEL[:-1] + "†source】", CAMEL[:-1] + "†" + "x" * 41, OPEN, "】", "†", "0123456", "\n"]
    ),
    st.sampled_from([CAMEL[:3], CAMEL[3:], ROUTE[1:], OPEN + OPEN, "7", "Forty 🐪 ", "é", '"\\']),
    st.text(st.characters(codec="utf-8"), max_size=5),
)
texts = st.lists(bits, max_size=12).map("".join)


def cut(data: st.DataObject, text: str) -> list[str]:
    """`text` in pieces."""
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    ends = [*places, len(text)]
    return [text[start:end] for start, end in zip([0, *places], ends, strict=True)]


def read(pieces: list[str], known: CitedFiles = KNOWN) -> tuple[str, list[tuple[str, int]]]:
    """The text that is told, and who is cited where."""
    marks, told, cited = Marks(known), "", []
    for piece in pieces:
        for part in marks.feed(piece):
            assert part != ""
            if isinstance(part, CitedFile):
                cited.append((part.id, len(told)))
            else:
                told += part
        assert len(marks.held) <= 48
    return told + marks.end(), cited


def test_marks_are_taken_out_and_their_files_stand_in_their_places() -> None:
    told = read([f"Forty 🐪 camels{CAMEL}, ten days{ROUTE}{CAMEL}."])
    assert told == ("Forty 🐪 camels, ten days.", [(CAMELS.id, 14), (ROUTES.id, 24), (CAMELS.id, 24)])
    assert read([f"Forty{CAMEL[:-1]}†source】."]) == ("Forty.", [(CAMELS.id, 5)])


def test_what_is_no_mark_of_a_found_file_stays() -> None:
    for text in (UNKNOWN, OPEN, "【1】", "【abc】", "[1]", CAMEL[:-1], CAMEL[:-1] + "\n】", "【" * 200, CAMEL[1:]):
        assert read(list(text)) == (text, [])


def test_a_mark_that_two_files_have_says_nothing() -> None:
    names: dict[str, str] = {}
    first, second = next(
        (names[mark], name)
        for name, mark in ((f"file-{n}", mark_of(f"file-{n}")) for n in range(10_000))
        if names.setdefault(mark, name) != name
    )
    mark = mark_of(first)
    both = files(CitedFile(first, "a"), CitedFile(second, "b"))
    assert read([f"x{mark}"], both) == (f"x{mark}", [])
    both.learn([search(CitedFile(first, "a"))])
    assert read([mark], both) == (mark, [])


@settings(deadline=None)
@given(st.data(), texts)
def test_however_a_text_is_cut_it_is_told_the_same(data: st.DataObject, text: str) -> None:
    pieces = cut(data, text)
    assert "".join(pieces) == text
    assert read(pieces) == read([text]) == read(list(text))


@given(texts)
def test_only_what_may_become_a_mark_is_held_back(text: str) -> None:
    marks = Marks(KNOWN)
    told = "".join(part for part in marks.feed(text) if isinstance(part, str))
    if marks.held:
        assert marks.held.startswith(OPEN) and "】" not in marks.held and "\n" not in marks.held
    assert told + marks.held == read([text])[0]


def test_a_text_of_beginnings_takes_no_time() -> None:
    for text in (OPEN * 100_000, (CAMEL[:-1] + "†") * 20_000, CAMEL * 20_000):
        began = time.process_time()
        read([text[at : at + 7] for at in range(0, len(text), 7)])
        assert time.process_time() - began < 5.0


def test_a_model_is_told_the_mark_of_each_passage() -> None:
    rows = [{"file_id": CAMELS.id, "filename": "camels.md", "text": "x", "attributes": {"year": 1}, "score": 1}]
    assert passages([*rows, {"error": "no"}]) == [
        {"cite": CAMEL, "filename": "camels.md", "text": "x", "attributes": {"year": 1}},
        {"error": "no"},
    ]


# ---- in a message


def writer(known: CitedFiles | None = KNOWN) -> tuple[EventWriter, Hooks]:
    request = read_request(orjson.dumps({"model": "m", "input": "x", "include": ["message.output_text.logprobs"]}))
    response = ResponseObject("resp_" + "0" * 48, 1_700_000_000, request)
    hooks = Hooks(make=namer(response), cited=known)
    return writer_at(response, State([]), hooks), hooks


def written(*deltas: dict[str, Any]) -> dict[str, Any]:
    """The text part of a message whose deltas these are; its events are held against the rules."""
    made, _ = writer()
    out = made.start() + made.begin() + made.feed(stream(*deltas))
    out += made.end_turn()[1] + made.finish("completed", at=1)
    (message,) = [item.done for item in follow(out).items.values()]
    assert message is not None
    (part,) = message["content"]
    for annotation in part["annotations"]:
        AnnotationFileCitation.model_validate(annotation, strict=True)
    return dict(part)


@settings(deadline=None)
@given(st.data(), texts.filter(bool))
def test_a_message_is_the_same_however_its_text_comes(data: st.DataObject, text: str) -> None:
    part = written(*({"content": piece} for piece in cut(data, text)))
    told, cited = read([text])
    assert part["text"] == told
    assert [(one["file_id"], one["index"]) for one in part["annotations"]] == cited
    assert part == written({"content": text})


def test_logprobs_are_those_of_all_tokens() -> None:
    made, _ = writer()
    pieces = ["Forty", CAMEL[:4], CAMEL[4:], ".", OPEN]
    out = made.start() + made.begin()
    for piece in pieces:
        one = {"token": piece, "logprob": -0.5, "bytes": list(piece.encode()), "top_logprobs": []}
        out += made.feed(event(chunk({"content": piece}, logprobs={"content": [one]})))
    out += made.end_turn()[1] + made.finish("completed", at=1)
    (part,) = (follow(out).items[0].done or {})["content"]
    assert part["text"] == f"Forty.{OPEN}"
    assert [one["token"] for one in part["logprobs"]] == pieces


def test_without_a_search_nothing_is_looked_at() -> None:
    made, _ = writer(None)
    out = made.start() + made.begin() + made.feed(stream({"content": f"Forty{CAMEL}"})) + made.end_turn()[1]
    assert follow(out + made.finish("completed", at=1)).items[0].parts[("content", 0)].text == f"Forty{CAMEL}"


@settings(deadline=None, max_examples=200)
@given(st.data(), texts.filter(bool), st.booleans(), st.booleans())
def test_a_turn_that_cites_goes_on_elsewhere_behind_any_chunk(
    data: st.DataObject, text: str, calls: bool, thinks: bool
) -> None:
    text = text.replace(CAMEL[:-1] + "†source】", CAMEL)  # the one thing that is not known from what was said
    deltas: list[dict[str, Any]] = [{"reasoning_content": "hm"}] if thinks else []
    deltas += [{"content": piece} for piece in cut(data, text) if piece]
    deltas += [call(0, "{}", id="call_1", name="file_search")] if calls else []
    chat = stream(*deltas, finish="tool_calls" if calls else "stop")
    first, _ = writer()
    life = first.start() + first.begin()
    entries = [first.feed(one + b"\n\n") for one in chat.split(b"\n\n") if one]
    whole = life + b"".join(entries) + first.end_turn()[1] + first.finish("completed", at=1)
    before = b"".join(entries[: data.draw(st.integers(0, len(entries)))])

    again, hooks = writer()
    again = writer_at(again.response, State([], sequence=2), hooks)
    delivered = Delivered.read(go_on_in_turn(again, list(read_events(before))))
    rest = again.feed(Splice(delivered, replay=True).feed(chat))
    rest += again.end_turn()[1] + again.finish("completed", at=1)
    told, cited = _told(life + before + rest)
    assert (told, cited) == _told(whole)


def _told(events: bytes) -> tuple[list[str | None], list[list[Any]]]:
    machine = follow(events)
    parts = [part for item in machine.items.values() for part in item.parts.values()]
    return [part.text for part in parts], [part.annotations for part in parts]
