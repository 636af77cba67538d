"""The events of a response are OpenAI's: names, fields, order and numbers, whatever the model sends."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from caravan_agents.responses.events import EventWriter
from caravan_agents.responses.turn import Hooks
from caravan_contracts import chunks
from pydantic import ValidationError

from tests.responses.chat import DONE, USAGE, call, chunk, event, stream, texts
from tests.responses.machine import Machine, follow
from tests.responses.writing import CUSTOM, FUNCTIONS, write_with, writer, written


def types(machine: Machine) -> list[str]:
    return [event["type"].removeprefix("response.") for event in machine.events]


def output(machine: Machine) -> list[dict[str, Any]]:
    assert machine.terminal is not None
    return machine.terminal["output"]


def test_text() -> None:
    machine = follow(written(stream(*texts("Hel", "lo ", "wörld")))[0])
    assert types(machine) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        *["output_text.delta"] * 3,
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    (message,) = output(machine)
    assert message["content"][0]["text"] == "Hello wörld" and message["status"] == "completed"
    assert machine.terminal is not None
    assert machine.terminal["usage"] == {
        "input_tokens": 11,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 18,
    }
    assert machine.terminal["completed_at"] == 1700000009


def test_a_delta_has_the_fields_of_openais_in_their_order() -> None:
    machine = follow(written(stream(*texts("a", "b")))[0])
    delta = machine.events[5]
    names = ["type", "sequence_number", "item_id", "output_index", "content_index", "delta", "logprobs"]
    assert list(delta) == names


def test_a_background_response_is_queued_first() -> None:
    machine = follow(written(stream(*texts("a")), background=True)[0])
    assert types(machine)[:3] == ["created", "queued", "in_progress"]


def test_one_tool() -> None:
    data, (turn,) = written(
        stream(call(0, "", id="call_1", name="weather"), call(0, '{"city"'), call(0, ':"Oslo"}'), finish="tool_calls"),
        tools=FUNCTIONS,
    )
    machine = follow(data)
    assert types(machine)[2:-1] == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ]
    (item,) = output(machine)
    assert (item["call_id"], item["name"], item["arguments"]) == ("call_1", "weather", '{"city":"Oslo"}')
    assert turn.client_calls and turn.calls == ()


def test_parallel_tools_whose_pieces_interleave_have_their_own_index() -> None:
    machine = follow(
        written(
            stream(
                call(0, "", id="call_1", name="weather"),
                call(1, "", id="call_2", name="clock"),
                call(0, '{"a"'),
                call(1, '{"b"'),
                call(0, ":1}"),
                call(1, ":2}"),
                finish="tool_calls",
            ),
            tools=FUNCTIONS,
        )[0]
    )
    deltas = [e for e in machine.events if e["type"].endswith("arguments.delta")]
    assert [e["output_index"] for e in deltas] == [0, 1, 0, 1]
    assert [item["arguments"] for item in output(machine)] == ['{"a":1}', '{"b":2}']
    done = [e["output_index"] for e in machine.events if e["type"] == "response.output_item.done"]
    assert done == [0, 1]


def test_calls_that_share_an_index_but_not_an_id_are_two() -> None:
    pieces = [call(0, '{"a":1}', id="call_1", name="weather"), call(0, '{"b":2}', id="call_2", name="weather")]
    machine = follow(written(stream(*pieces, finish="tool_calls"), tools=FUNCTIONS)[0])
    assert [item["call_id"] for item in output(machine)] == ["call_1", "call_2"]


def test_a_name_that_is_said_again_is_no_new_call() -> None:
    pieces = [call(0, '{"a"', id="call_1", name="weather"), call(0, ":1}", id="call_1", name="weather")]
    machine = follow(written(stream(*pieces, finish="tool_calls"), tools=FUNCTIONS)[0])
    assert [item["arguments"] for item in output(machine)] == ['{"a":1}']


def test_a_call_without_arguments_has_an_empty_object() -> None:
    machine = follow(written(stream(call(0, id="c", name="clock"), finish="tool_calls"), tools=FUNCTIONS)[0])
    assert output(machine)[0]["arguments"] == "{}"


def test_text_and_tools() -> None:
    pieces = [*texts("I ", "look."), call(0, "{}", id="c", name="clock"), *texts("And?")]
    machine = follow(written(stream(*pieces, finish="tool_calls"), tools=FUNCTIONS)[0])
    assert [item["type"] for item in output(machine)] == ["message", "function_call", "message"]


def test_a_call_of_what_runs_on_the_server_is_not_told_but_given_back() -> None:
    pieces = [call(0, '{"q":', id="c", name="docs__find"), call(0, "1}")]
    data, (turn,) = written(stream(*pieces, finish="tool_calls"), tools=FUNCTIONS)
    assert output(follow(data)) == []
    assert [(c.id, c.name, c.arguments) for c in turn.calls] == [("c", "docs__find", '{"q":1}')]
    assert not turn.client_calls


def test_refusal() -> None:
    machine = follow(written(stream({"refusal": "I "}, {"refusal": "won't."}))[0])
    assert types(machine)[3:-1] == [
        "content_part.added",
        "refusal.delta",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "output_item.done",
    ]
    assert output(machine)[0]["content"] == [{"type": "refusal", "refusal": "I won't."}]


def test_a_refusal_after_text_is_another_part() -> None:
    machine = follow(written(stream(*texts("Well"), {"refusal": "no"}))[0])
    assert [part["type"] for part in output(machine)[0]["content"]] == ["output_text", "refusal"]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_then_text(field: str) -> None:
    machine = follow(written(stream({field: "Let "}, {field: "me"}, *texts("42")))[0])
    assert types(machine)[2:8] == [
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
    ]
    reasoning, message = output(machine)
    assert reasoning["content"] == [{"type": "reasoning_text", "text": "Let me"}] and reasoning["summary"] == []
    assert message["content"][0]["text"] == "42"


def test_reasoning_is_a_summary_when_one_is_asked_for() -> None:
    data = written(stream({"reasoning": "Let "}, {"reasoning": "me"}, *texts("42")), reasoning={"summary": "auto"})[0]
    machine = follow(data)
    assert types(machine)[2:8] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
    ]
    assert output(machine)[0]["summary"] == [{"type": "summary_text", "text": "Let me"}]


@pytest.mark.parametrize("asked", [[], ["reasoning.encrypted_content"]])
def test_reasoning_is_sealed_when_that_is_asked_for(asked: list[str]) -> None:
    plain = writer(include=asked)
    made = EventWriter(plain.response, Hooks(seal=lambda text: text[::-1]))
    reasoning = output(follow(write_with(made, stream({"reasoning": "Let me"}, *texts("42")))[0]))[0]
    assert reasoning.get("encrypted_content") == ("em teL" if asked else None)


def test_thinking_blocks_are_reasoning() -> None:
    blocks = [
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]},
        {"content": [{"type": "text", "text": "42"}]},
    ]
    machine = follow(written(stream(*blocks))[0])
    assert [item["type"] for item in output(machine)] == ["reasoning", "message"]


def test_incomplete_by_length() -> None:
    machine = follow(written(stream({"reasoning": "a"}, *texts("b"), finish="length"))[0])
    assert machine.terminal is not None
    assert machine.terminal["incomplete_details"] == {"reason": "max_output_tokens"}
    assert [item["status"] for item in output(machine)] == ["completed", "incomplete"]


def test_calls_that_were_cut_off_are_incomplete_and_whole_ones_are_not() -> None:
    pieces = [
        call(0, '{"a":1}', id="1", name="weather"),
        call(1, '{"a"', id="2", name="weather"),
        call(2, '{"input":"x"}', id="3", name="shout"),
        call(3, '{"input":"y', id="4", name="shout"),
    ]
    machine = follow(written(stream(*pieces, finish="length"), tools=[*FUNCTIONS, CUSTOM])[0])
    assert [item["status"] for item in output(machine)] == ["completed", "incomplete"] * 2


def test_a_filter_leaves_it_incomplete() -> None:
    machine = follow(written(stream(*texts("a"), finish="content_filter"))[0])
    assert machine.terminal is not None
    assert machine.terminal["incomplete_details"] == {"reason": "content_filter"}


@pytest.mark.parametrize(
    "broken",
    [
        event({"error": {"message": "overloaded", "type": "server_error"}}),
        event({"error": "overloaded"}),
        b"data: {nonsense}\n\n",
        b"data: 7\n\n",
    ],
)
def test_failed_in_mid_stream(broken: bytes) -> None:
    begun = event(chunk({"content": "Hel"}))
    data, (turn,) = written(begun + broken + event(chunk({"content": "lo"})), end="failed")
    assert turn.error and turn.finish_reason is None
    (item,) = output(follow(data))
    assert item["status"] == "incomplete" and item["content"][0]["text"] == "Hel"


def test_a_stream_that_breaks_off_has_no_finish_reason() -> None:
    assert written(event(chunk({"content": "Hel"})), end="failed")[1][0].finish_reason is None
    assert written(event(chunk({"content": "Hel"})) + DONE)[1][0].finish_reason == "stop"


def test_cancelled_while_it_is_written() -> None:
    made = writer(tools=FUNCTIONS)
    out = [made.start(), made.begin(), made.feed(event(chunk({"content": "Hel"})))]
    index, added = made.add_item({"type": "mcp_list_tools", "server_label": "docs", "tools": []})
    out += [added, made.item_event(index, "response.mcp_list_tools.in_progress"), made.finish("cancelled")]
    machine = follow(b"".join(out))
    assert machine.terminal is not None and machine.terminal["status"] == "cancelled"
    assert types(machine)[-1] == "incomplete"
    assert [item.get("status") for item in output(machine)] == ["incomplete", None]


def test_a_response_ends_once() -> None:
    made = writer()
    made.start()
    made.finish("cancelled")
    search = {"type": "web_search_call", "status": "completed"}
    for late in (lambda: made.finish("completed"), lambda: made.feed(DONE), lambda: made.add_item(search)):
        with pytest.raises(RuntimeError):
            late()


def test_custom_tools() -> None:
    given = 'He said "hi"\n\\ and \U0001f600 left'
    arguments = orjson.dumps({"input": given}).decode()
    pieces = [call(0, "", id="c", name="shout"), *(call(0, letter) for letter in arguments)]
    machine = follow(written(stream(*pieces, finish="tool_calls"), tools=[CUSTOM])[0])
    (item,) = output(machine)
    assert (item["type"], item["input"], item["call_id"]) == ("custom_tool_call", given, "c")
    assert types(machine).count("custom_tool_call_input.delta") > 10


def test_a_call_says_the_namespace_of_its_tool() -> None:
    inner = [{"type": "function", "name": "find"}, {"type": "custom", "name": "note"}]
    crm = {"type": "namespace", "name": "crm", "description": "d", "tools": inner}
    pieces = [call(0, '{"a":1}', id="c1", name="crm__find"), call(1, '{"input":"hi"}', id="c2", name="crm__note")]
    data = written(stream(*pieces, finish="tool_calls"), tools=[crm])[0]
    machine = follow(data)
    find, note = output(machine)
    assert (find["type"], find["namespace"], find["name"], find["arguments"]) == (
        "function_call",
        "crm",
        "find",
        '{"a":1}',
    )
    assert (note["type"], note["namespace"], note["name"], note["input"]) == ("custom_tool_call", "crm", "note", "hi")
    announced = [event["item"] for event in machine.events if event["type"] == "response.output_item.added"]
    assert [(item["namespace"], item["name"]) for item in announced] == [("crm", "find"), ("crm", "note")]


def test_several_turns_go_on_with_the_numbers_and_tools_stand_between() -> None:
    made = writer(tools=FUNCTIONS)
    out = [made.start(), made.begin()]
    listed, added = made.add_item({"type": "mcp_list_tools", "server_label": "docs", "tools": []})
    out += [added, made.item_event(listed, "response.mcp_list_tools.in_progress")]
    out += [made.item_event(listed, "response.mcp_list_tools.completed")]
    out += [made.finish_item(listed, {"type": "mcp_list_tools", "server_label": "docs", "tools": []})]
    out.append(made.feed(stream(*texts("I look."), call(0, "{}", id="c", name="docs__find"), finish="tool_calls")))
    turn, closing = made.end_turn()
    out.append(closing)
    begun = [
        made.add_item({
            "type": "mcp_call", "server_label": "docs", "name": "find", "arguments": "", "status": "in_progress"
        })
        for _ in range(2)
    ]  # fmt: skip
    out += [data for _index, data in begun]
    for index, _data in begun:
        out.append(made.item_event(index, "response.mcp_call.in_progress"))
        out.append(made.item_event(index, "response.mcp_call_arguments.delta", delta="{}"))
        out.append(made.item_event(index, "response.mcp_call_arguments.done", arguments="{}"))
    for index, _data in reversed(begun):
        out.append(made.item_event(index, "response.mcp_call.completed"))
        done = {"type": "mcp_call", "server_label": "docs", "name": "find", "arguments": "{}", "output": "x"}
        out.append(made.finish_item(index, {**done, "status": "completed"}))
    out.append(made.whole_item({"type": "compaction", "encrypted_content": "x"}))
    out.append(made.feed(stream(*texts("Found."))))
    out += [made.end_turn()[1], made.finish("completed", at=1)]
    machine = follow(b"".join(out))
    assert [item["type"] for item in output(machine)] == [
        "mcp_list_tools",
        "message",
        "mcp_call",
        "mcp_call",
        "compaction",
        "message",
    ]
    assert len(turn.calls) == 1
    assert machine.terminal is not None
    assert machine.terminal["usage"]["total_tokens"] == 2 * USAGE["total_tokens"]  # type: ignore[operator]


def test_another_process_goes_on_with_a_stream() -> None:
    made = writer()
    before = made.start() + made.begin() + made.feed(stream(*texts("One."))) + made.end_turn()[1]
    later = writer()
    later.response.output, later.response.usage = made.response.output, made.response.usage
    assert made.sequence == before.count(b"\n\n")
    onward = EventWriter(later.response, sequence=made.sequence)
    after = onward.feed(stream(*texts("Two."))) + onward.end_turn()[1] + onward.finish("completed")
    assert [item["content"][0]["text"] for item in output(follow(before + after))] == ["One.", "Two."]


def test_what_another_process_left_open_is_closed() -> None:
    made = writer()
    begun = {"type": "mcp_call", "server_label": "d", "name": "f", "arguments": "", "status": "in_progress"}
    before = made.start() + made.begin()
    index, added = made.add_item(begun)
    onward = EventWriter(made.response, sequence=made.sequence)
    after = onward.item_event(index, "response.mcp_call.in_progress") + onward.finish("cancelled")
    assert [item["status"] for item in output(follow(before + added + after))] == ["incomplete"]


def test_whole_calls_that_nothing_tells_apart() -> None:
    part = {"function": {"name": "weather", "arguments": {"a": 1}}}
    machine = follow(written(stream({"tool_calls": [part, part]}, finish="tool_calls"), tools=FUNCTIONS)[0])
    assert [item["arguments"] for item in output(machine)] == ['{"a":1}'] * 2


def test_logprobs_are_there_when_they_are_asked_for() -> None:
    given = {
        "content": [
            {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": [{"token": "Ho", "logprob": -2}]}
        ]
    }
    data = event(chunk({"content": "Hi"}, logprobs=given)) + event(chunk({}, "stop")) + DONE
    machine = follow(written(data, include=["message.output_text.logprobs"])[0])
    delta = next(e for e in machine.events if e["type"] == "response.output_text.delta")
    one = {"token": "Hi", "logprob": -0.5, "top_logprobs": [{"token": "Ho", "logprob": -2}]}
    assert delta["logprobs"] == [one]
    part = output(machine)[0]["content"][0]
    assert part["logprobs"][0]["bytes"] == [72, 105]
    assert part["logprobs"][0]["top_logprobs"] == [{"token": "Ho", "logprob": -2, "bytes": [72, 111]}]
    unasked = follow(written(data)[0])
    assert output(unasked)[0]["content"][0]["logprobs"] == []


def test_annotations_of_the_provider_and_of_tools() -> None:
    cited = {"type": "url_citation", "url_citation": {"url": "https://a.test", "start_index": 0, "end_index": 2}}
    data, _turns = written(stream(*texts("Hi"), {"annotations": [cited]}))
    machine = follow(data)
    assert "output_text.annotation.added" in types(machine)
    assert output(machine)[0]["content"][0]["annotations"][0]["url"] == "https://a.test"


def test_annotations_are_found_in_the_whole_text() -> None:
    found = {"type": "url_citation", "url": "https://a.test", "title": "A", "start_index": 0, "end_index": 1}
    plain = writer()
    made = EventWriter(plain.response, Hooks(annotate=lambda text: [found] * text.count("[1]")))
    machine = follow(write_with(made, stream(*texts("See [", "1] and [1]")))[0])
    assert output(machine)[0]["content"][0]["annotations"] == [found, found]
    assert types(machine)[-6:-3] == ["output_text.annotation.added", "output_text.annotation.added", "output_text.done"]


def test_obfuscation_only_when_it_is_asked_for() -> None:
    plain = written(stream(*texts("a", "b")), stream=True)[0]
    hidden = written(stream(*texts("a", "b")), stream=True, stream_options={"include_obfuscation": True})[0]
    assert b"obfuscation" not in plain and hidden.count(b'"obfuscation":"') == 2
    follow(hidden)


def test_chunks_that_look_alike_are_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []

    def read(data: bytes) -> dict[str, Any]:
        parsed.append(data)
        made: dict[str, Any] = orjson.loads(data)
        return made

    monkeypatch.setattr(chunks, "read_chunk", read)
    for deltas in (
        texts(*map(str, range(100))),
        [{"reasoning_content": str(n)} for n in range(100)],
        [call(0, id="c", name="weather"), *(call(0, f'"{n}') for n in range(100))],
    ):
        parsed.clear()
        machine = follow(written(stream(*deltas), tools=FUNCTIONS)[0])
        assert sum(event["type"].endswith(".delta") for event in machine.events) == 100
        assert len(parsed) <= 5


def test_an_answer_without_a_word_is_complete() -> None:
    assert output(follow(written(stream())[0])) == []


def test_the_machine_sees_a_missing_field() -> None:
    data = written(stream(*texts("a")))[0]
    with pytest.raises(ValidationError):
        follow(data.replace(b',"logprobs":[]}', b"}", 1))


@pytest.mark.parametrize("gone", [b"content_part.added", b"output_text.done", b"output_item.done", b"completed"])
def test_the_machine_sees_a_missing_event(gone: bytes) -> None:
    blocks = written(stream(*texts("a")))[0].split(b"\n\n")
    left = [b for b in blocks if not b.startswith(b"event: response." + gone)]
    for number, block in enumerate(left[:-1]):
        head, _, tail = block.partition(b'"sequence_number":')
        left[number] = head + b'"sequence_number":%d' % number + tail[tail.index(b",") :]
    with pytest.raises((AssertionError, KeyError)):
        follow(b"\n\n".join(left))
