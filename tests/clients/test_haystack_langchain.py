"""Other people's clients, unmodified but for URL and model. They live in an environment of their own."""

from __future__ import annotations

import pytest

from tests.clients.environments import install, run
from tests.mesh.running import RunningMesh

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

HAYSTACK = """
import json, sys
from haystack_integrations.components.generators.llama_stack import LlamaStackChatGenerator
from haystack.dataclasses import ChatMessage
messages = [ChatMessage.from_user("What's Natural Language Processing?")]
client = LlamaStackChatGenerator(model="llama3.2:3b", api_base_url=sys.argv[1] + "/v1/openai/v1")
whole = client.run(messages)["replies"][0]
pieces = []
client.run(messages, streaming_callback=lambda chunk: pieces.append(chunk.content))
print(json.dumps([whole.text, whole.meta["model"], whole.meta["finish_reason"], "".join(pieces)]))
"""
LANGCHAIN = """
import json, sys
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI
llm = ChatOpenAI(base_url=sys.argv[1] + "/v1", api_key="none", model="up/plain")
first = ChatPromptTemplate.from_template("Extract the specs from: {x}") | llm | StrOutputParser()
chain = first | (lambda text: {"x": text}) | ChatPromptTemplate.from_template("As JSON: {x}") | llm | StrOutputParser()
print(json.dumps([chain.invoke({"x": "16GB RAM"}), "".join(c.content for c in llm.stream("hi"))]))
"""
RESPONSES = """
import json, sys
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI
from openai import OpenAI
base = sys.argv[1] + "/v1"
client = OpenAI(base_url=base, api_key="none")
asked = client.responses.create(model="up/plain", input="Extract technical specs from: 16GB RAM and 1TB SSD")
llm = ChatOpenAI(base_url=base, api_key="none", model="up/plain", use_responses_api=True, output_version="v0")
first = ChatPromptTemplate.from_template("Extract the specs from: {x}") | llm | StrOutputParser()
chain = first | (lambda text: {"x": text}) | ChatPromptTemplate.from_template("As JSON: {x}") | llm | StrOutputParser()
def weather(city: str) -> str:
    "The weather in a city."
    return "sunny"
tools = ChatOpenAI(base_url=base, api_key="none", model="up/tools", use_responses_api=True).bind_tools([weather])
question = HumanMessage("weather in Paris?")
called = tools.invoke([question])
call = called.tool_calls[0]
answer = llm.invoke([question, called, ToolMessage(weather(**call["args"]), tool_call_id=call["id"])])
streamed = "".join(chunk.text for chunk in llm.stream("hi"))
print(json.dumps([asked.output_text, chain.invoke({"x": "16GB RAM"}), call["name"], answer.text, streamed]))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    first = ["haystack-ai==2.18.1", "langchain-openai>=1,<2"]
    return install(tmp_path_factory.mktemp("clients"), first, ["--no-deps", "llama-stack-haystack==1.0.0"])


def test_haystacks_llama_stack_generator(python: str, mesh: RunningMesh) -> None:
    assert run(python, HAYSTACK, mesh) == ["w0 w1 w2 w3 ", "llama3.2:3b", "stop", "w0 w1 w2 w3 "]


def test_langchains_chat_openai(python: str, mesh: RunningMesh) -> None:
    assert run(python, LANGCHAIN, mesh) == ["w0 w1 w2 w3 ", "w0 w1 w2 w3 "]


def test_openais_responses_and_langchain_over_them(python: str, mesh: RunningMesh) -> None:
    words = "w0 w1 w2 w3 "
    assert run(python, RESPONSES, mesh) == [words, words, "weather", words, words]
