"""Files that an input names, through the SDK and a whole mesh: a model is told the bytes, and the ids are kept."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from openai import BadRequestError, NotFoundError, OpenAI

from tests.responses.machine import follow
from tests.upstream.scripted import ScriptedUpstream

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 2
PDF = b"%PDF-1.7\n" + bytes(range(256)) * 2000


def upload(client: OpenAI, name: str, data: bytes) -> str:
    return client.files.create(file=(name, data), purpose="user_data").id


def asks(*parts: dict[str, Any], model: str = "up/plain", **more: Any) -> dict[str, Any]:
    content = [{"type": "input_text", "text": "What is it?"}, *parts]
    return {"model": model, "input": [{"role": "user", "content": content}], **more}


def url(type: str, data: bytes) -> str:
    return f"data:{type};base64,{base64.b64encode(data).decode()}"


def told(upstream: ScriptedUpstream, at: int = 0) -> list[dict[str, Any]]:
    """The parts of the user's message, in the last request of a model."""
    message = [row for row in upstream.requests[-1].body["messages"] if row["role"] == "user"][at]
    parts: list[dict[str, Any]] = message["content"]
    return parts[1:]


def test_a_model_is_told_what_is_in_a_file(client: OpenAI, upstream: ScriptedUpstream) -> None:
    png, pdf = upload(client, "camel.jpg.png", PNG), upload(client, "camels.pdf", PDF)
    text = upload(client, "camels.md", "# Kamele 🐪\n```\ncode\n```".encode())
    parts = [
        {"type": "input_image", "file_id": png, "detail": "low"},
        {"type": "input_file", "file_id": pdf},
        {"type": "input_file", "file_id": text},
    ]
    made = client.responses.create(**asks(*parts))
    assert told(upstream) == [
        {"type": "image_url", "image_url": {"url": url("image/png", PNG), "detail": "low"}},
        {"type": "file", "file": {"file_data": url("application/pdf", PDF), "filename": "camels.pdf"}},
        {"type": "text", "text": "````camels.md\n# Kamele 🐪\n```\ncode\n```\n````"},
    ]
    (kept,) = client.responses.input_items.list(made.id, include=["message.input_image.image_url"]).data
    shown = kept.model_dump(exclude_none=True)["content"][1:]
    assert [part["file_id"] for part in shown] == [png, pdf, text]
    assert not any(part.get("image_url") or part.get("file_data") for part in shown)

    client.responses.create(model="up/plain", input="And now?", previous_response_id=made.id)
    assert [part["type"] for part in told(upstream)] == ["image_url", "file", "text"]


def test_data_that_comes_with_the_request_needs_no_file(client: OpenAI, upstream: ScriptedUpstream) -> None:
    parts = [
        {"type": "input_file", "filename": "a.pdf", "file_data": url("application/pdf", PDF)},
        {"type": "input_file", "filename": "a.csv", "file_data": url("text/csv", b"a,b\n1,2")},
        {"type": "input_file", "filename": "b.txt", "file_data": url("text/plain", b"\xff\xfe\xfd")},
    ]
    client.responses.create(**asks(*parts))
    assert [part["type"] for part in told(upstream)] == ["file", "text", "file"]
    assert told(upstream)[1]["text"] == "```a.csv\na,b\n1,2\n```"


def test_a_file_of_a_tools_output_is_shown_behind_it(client: OpenAI, upstream: ScriptedUpstream) -> None:
    png = upload(client, "camel.png", PNG)
    call = {"call_id": "c", "name": "look", "arguments": "{}", "type": "function_call"}
    output = {"call_id": "c", "type": "function_call_output", "output": [{"type": "input_image", "file_id": png}]}
    given: Any = [{"role": "user", "content": "Look!"}, call, output]
    client.responses.create(model="up/plain", input=given)
    assert upstream.requests[-1].body["messages"][-1]["content"] == [
        {"type": "image_url", "image_url": {"url": url("image/png", PNG)}}
    ]


@pytest.mark.parametrize("kind", ["input_file", "input_image"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_file_of_nobody_is_refused(client: OpenAI, stranger: OpenAI, kind: str, stream: bool) -> None:
    others = upload(stranger, "secret.png", PNG)
    for missing in (others, "file-none"):
        with pytest.raises(NotFoundError, match="there is no file") as caught:
            client.responses.create(**asks({"type": kind, "file_id": missing}, stream=stream))
        assert caught.value.param == "input"
    with pytest.raises(NotFoundError):
        client.responses.create(**asks({"type": kind, "file_id": others}, background=True))


def test_what_is_no_image_is_refused(client: OpenAI) -> None:
    text = upload(client, "camels.txt", b"no image")
    with pytest.raises(BadRequestError, match="is no image") as caught:
        client.responses.create(**asks({"type": "input_image", "file_id": text}))
    assert caught.value.code == "invalid_image_format"


def test_files_that_are_too_large_together_are_refused(client: OpenAI) -> None:
    large = upload(client, "large.bin", b"x" * (17 * 1024 * 1024))
    part = {"type": "input_file", "file_id": large}
    with pytest.raises(Exception, match="at most 33554432 are taken") as caught:
        client.responses.create(**asks(part, part))
    assert getattr(caught.value, "status_code", 0) == 413


def test_a_large_file_reaches_the_model(client: OpenAI, upstream: ScriptedUpstream) -> None:
    data = PDF + b"x" * (20 * 1024 * 1024)
    large = upload(client, "large.pdf", data)
    made = client.responses.create(**asks({"type": "input_file", "file_id": large}))
    assert made.status == "completed"
    assert told(upstream)[0]["file"]["file_data"] == url("application/pdf", data)


def test_of_a_file_that_was_deleted_since_the_model_hears_that_it_is_gone(
    client: OpenAI, upstream: ScriptedUpstream
) -> None:
    gone = upload(client, "camels.pdf", PDF)
    first = client.responses.create(**asks({"type": "input_file", "file_id": gone}))
    client.files.delete(gone)
    client.responses.create(model="up/plain", input="And now?", previous_response_id=first.id)
    assert told(upstream) == [{"type": "text", "text": f"(The file {gone} was here; it has been deleted.)"}]


def test_in_the_background_a_file_is_read_when_the_model_is_asked(client: OpenAI, upstream: ScriptedUpstream) -> None:
    pdf = upload(client, "camels.pdf", PDF)
    made = client.responses.create(**asks({"type": "input_file", "file_id": pdf}, background=True))
    with client.responses.with_streaming_response.retrieve(made.id, stream=True) as events:
        machine = follow(b"".join(events.iter_bytes()))
    assert machine.terminal is not None and machine.terminal["status"] == "completed"
    assert told(upstream)[0]["file"]["filename"] == "camels.pdf"


def test_tokens_of_a_file_are_counted(client: OpenAI) -> None:
    text = upload(client, "camels.txt", b"many camels " * 500)
    plain = client.responses.input_tokens.count(**asks()).input_tokens
    counted = client.responses.input_tokens.count(**asks({"type": "input_file", "file_id": text})).input_tokens
    assert counted - plain > 900
