"""The parts of the llama.cpp provider that need no model."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from typing import Any

import orjson
import pytest
from caravan_contracts.errors import InvalidRequest
from caravan_inference import cores
from caravan_inference.providers.base import ProviderOptions
from caravan_inference.providers.llama_cpp import LlamaCpp, messages, options, tools
from caravan_inference.providers.llama_cpp.choosing import ANSWER, Mode, choose
from caravan_inference.providers.llama_cpp.request import Chat
from caravan_inference.providers.llama_cpp.tool_reader import CallReader, begins_call
from caravan_inference.providers.llama_cpp.tools import Tool
from hypothesis import given
from hypothesis import strategies as st

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def pieces(text: str, cuts: list[int]) -> list[str]:
    places = sorted({cut % (len(text) + 1) for cut in cuts} | {0, len(text)})
    return [text[a:b] for a, b in pairwise(places)]


@given(
    name=st.text(min_size=1, max_size=10),
    arguments=st.dictionaries(st.text(max_size=5), json_values, max_size=4),
    indent=st.booleans(),
    cuts=st.lists(st.integers(0, 400), max_size=20),
)
def test_a_call_is_read_the_same_however_it_arrives(
    name: str, arguments: dict[str, Any], indent: bool, cuts: list[int]
) -> None:
    option = orjson.OPT_INDENT_2 if indent else None
    text = orjson.dumps({"name": name, "arguments": arguments}, option=option).decode() + "\n"
    reader = CallReader()
    written = "".join(reader.feed(piece) for piece in pieces(text, cuts))
    assert reader.name == name
    assert reader.complete
    assert orjson.loads(written) == arguments


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("", None),
        (" {", None),
        ('{\n "na', None),
        ('{ "name" :', True),
        ("<tool_", None),
        ('<tool_call>\n{"name":', True),
        ("```json\n", None),
        ('```json\n{"name":"f"', True),
        ("Hello", False),
        ('{"city"', False),
        ("```python", False),
    ],
)
def test_the_beginning_of_a_call_is_told_from_text(text: str, begins: bool | None) -> None:
    assert begins_call(text) is begins


def test_references_of_a_tool_point_to_where_its_schema_went() -> None:
    parameters = {"type": "object", "properties": {"c": {"$ref": "#/$defs/C"}}, "$defs": {"C": {"enum": ["a"]}}}
    made = tools.schema([Tool("f", "", parameters), Tool("g")])
    assert made["$defs"]["tool0"]["properties"]["c"]["$ref"] == "#/$defs/tool0/$defs/C"
    assert [one["properties"]["name"] for one in made["anyOf"]] == [{"const": "f"}, {"const": "g"}]


def test_a_conversation_without_a_system_message_gets_one() -> None:
    hello = [{"role": "user", "content": "Hi"}]
    assert messages.render(hello, "Be nice.")[0] == {"role": "system", "content": "Be nice."}
    assert messages.render(hello, "") == hello
    own = [{"role": "developer", "content": "Be brief."}, *hello]
    assert messages.render(own, "Be nice.")[0] == {"role": "system", "content": "Be brief."}
    assert messages.render(own, "", "Tools.")[0]["content"] == "Be brief.\n\nTools."
    assert messages.render(hello, "", "Tools.")[0] == {"role": "system", "content": "Tools."}


def test_calls_and_results_are_told_as_turns_of_text() -> None:
    call = {"id": "1", "function": {"name": "f", "arguments": '{"a": 1}'}}
    made = messages.render(
        [
            {"role": "user", "content": [{"type": "text", "text": "Do"}, {"type": "text", "text": "it."}]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "1", "content": "done"},
            {"role": "user", "content": "And?"},
        ],
        "",
        "These are your tools.",
    )[1:]
    assert [message["role"] for message in made] == ["user", "assistant", "user"]
    assert made[0]["content"] == "Do\nit."
    assert orjson.loads(made[1]["content"]) == {"name": "f", "arguments": {"a": 1}}
    assert made[2]["content"] == "Result of f: done\n\nAnd?"


def test_a_model_that_is_told_of_no_tools_sees_their_results_only() -> None:
    call = {"id": "1", "function": {"name": "f", "arguments": "{}"}}
    said = [{"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "1", "content": "done"}]
    made = messages.render([{"role": "user", "content": "Do it."}, *said], "")
    assert made == [{"role": "user", "content": "Do it.\n\nResult of f: done"}]


def test_auto_with_a_format_asks_the_model_for_a_call_or_the_formatted_answer() -> None:
    asked = Chat(messages=[{"role": "user", "content": "x"}])
    made = choose([Tool("f")], asked, {"type": "object"}, False)
    assert made.mode is Mode.CALL
    assert [tool.name for tool in made.tools] == ["f", ANSWER]
    by_words = choose([Tool("f")], asked, {"type": "object"}, True)
    assert (by_words.mode, by_words.schema) == (Mode.TEXT, {"type": "object"})


def test_one_core_stays_free() -> None:
    assert cores.engine_threads() == max(1, cores.usable_cores() - 1)


def test_importing_the_providers_loads_no_engine() -> None:
    code = (
        "import sys, caravan_inference.providers.llama_cpp, caravan_inference.providers.onnx_embeddings\n"
        "print([n for n in ('xllamacpp', 'onnxruntime', 'tokenizers', 'numpy') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=110)
    assert done.stdout.strip() == "[]"


def test_a_wrong_option_is_named() -> None:
    with pytest.raises(InvalidRequest) as caught:
        LlamaCpp(ProviderOptions("local", "inline::llama-cpp", 1, {"paralel": 3}))
    assert caught.value.param == "paralel"


def test_threads_can_be_set_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARAVAN_LLAMA_THREADS", "3")
    assert options.read(ProviderOptions("local", "inline::llama-cpp", 1)).threads == 3
    monkeypatch.setenv("CARAVAN_LLAMA_THREADS", "many")
    with pytest.raises(InvalidRequest, match="CARAVAN_LLAMA_THREADS"):
        options.read(ProviderOptions("local", "inline::llama-cpp", 1))


def test_a_missing_runtime_names_what_to_install() -> None:
    code = """
import asyncio, sys
sys.modules["xllamacpp"] = None
from caravan_inference.providers.base import ProviderOptions
from caravan_inference.providers.llama_cpp import LlamaCpp
asyncio.run(LlamaCpp(ProviderOptions("local", "inline::llama-cpp", 1)).start())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=110, check=False)
    assert "pip install caravan-inference[local]" in done.stderr.splitlines()[-1]
