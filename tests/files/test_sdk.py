"""OpenAI's own client keeps files here as it does at OpenAI."""

from __future__ import annotations

import hashlib
import os
import time
from typing import Any

import pytest
from openai import BadRequestError, NotFoundError, OpenAI

from tests.files.bodies import upload_whole


def test_a_file_comes_back_as_it_was(client: OpenAI) -> None:
    data = os.urandom(3_000_000)
    made = client.files.create(file=("notes.bin", data), purpose="user_data")
    assert made.id.startswith("file-")
    assert (made.object, made.bytes, made.filename, made.purpose) == ("file", len(data), "notes.bin", "user_data")
    assert made.status == "processed"
    assert made.expires_at is None
    assert abs(made.created_at - time.time()) < 60
    assert client.files.retrieve(made.id) == made
    assert client.files.content(made.id).read() == data
    gone = client.files.delete(made.id)
    assert (gone.id, gone.object, gone.deleted) == (made.id, "file", True)
    for ask in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(NotFoundError):
            ask(made.id)
    assert made.id not in [row.id for row in client.files.list(limit=10_000)]


def test_files_are_listed_in_order_and_by_purpose(client: OpenAI) -> None:
    ids = [client.files.create(file=(f"{n}.txt", b"x"), purpose="evals").id for n in range(5)]
    client.files.create(file=("other.txt", b"x"), purpose="vision")
    newest = client.files.list(purpose="evals", limit=2)
    assert [row.id for row in newest.data] == [ids[4], ids[3]]
    assert newest.has_more is True
    assert [row.id for row in newest] == ids[::-1]
    assert [row.id for row in client.files.list(purpose="evals", order="asc", limit=3)] == ids
    assert [row.id for row in client.files.list(purpose="evals", order="asc", after=ids[2])] == ids[3:]
    with pytest.raises(NotFoundError):
        client.files.list(after="file-" + "0" * 32)


def test_a_file_is_forgotten_when_it_says_so(client: OpenAI) -> None:
    expires: Any = {"anchor": "created_at", "seconds": 3600}
    made = client.files.create(file=("a.txt", b"x"), purpose="user_data", expires_after=expires)
    assert made.expires_at == made.created_at + 3600
    batch = client.files.create(file=("a.jsonl", b'{"a": 1}\n'), purpose="batch")
    assert batch.expires_at == batch.created_at + 30 * 86_400
    expires["seconds"] = 1
    with pytest.raises(BadRequestError) as caught:
        client.files.create(file=("a.txt", b"x"), purpose="user_data", expires_after=expires)
    assert caught.value.param == "expires_after.seconds"


def test_lines_of_a_batch_are_looked_at(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as caught:
        client.files.create(file=("a.jsonl", b'{"a": 1}\n{"b": \n'), purpose="batch")
    assert caught.value.code == "invalid_jsonl"
    assert "line 2" in caught.value.message
    assert client.files.create(file=("a.jsonl", b'{"a": 1}\n{"b": \n'), purpose="user_data").bytes == 16


@pytest.mark.parametrize("name", ["a.pdf", "a.png", "a.jpg", "a.gif", "a.webp", "a.docx", "a.xlsx", "a.pptx"])
def test_a_file_that_is_not_what_its_name_says_is_refused(client: OpenAI, name: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        client.files.create(file=(name, b"<html>hello</html>"), purpose="user_data")
    assert caught.value.code == "invalid_file"


def test_an_upload_in_parts_becomes_a_file(client: OpenAI) -> None:
    data = os.urandom(700_000)
    upload = client.uploads.create(
        bytes=len(data), filename="big.bin", mime_type="application/octet-stream", purpose="user_data"
    )
    assert (upload.object, upload.status, upload.file) == ("upload", "pending", None)
    assert upload.expires_at == upload.created_at + 3600
    second = client.uploads.parts.create(upload.id, data=data[300_000:])
    first = client.uploads.parts.create(upload.id, data=data[:300_000])
    assert (first.object, first.upload_id) == ("upload.part", upload.id)
    md5 = hashlib.md5(data).hexdigest()
    for wrong in ([first.id], [first.id, first.id], [first.id, "part_" + "0" * 32]):
        with pytest.raises(BadRequestError):
            client.uploads.complete(upload.id, part_ids=wrong)
    with pytest.raises(BadRequestError) as caught:
        client.uploads.complete(upload.id, part_ids=[first.id, second.id], md5="0" * 32)
    assert caught.value.code == "wrong_checksum"
    done = client.uploads.complete(upload.id, part_ids=[first.id, second.id], md5=md5)
    assert done.status == "completed"
    assert done.file is not None
    assert client.files.retrieve(done.file.id) == done.file
    assert client.files.content(done.file.id).read() == data
    assert client.uploads.complete(upload.id, part_ids=[first.id, second.id]) == done
    with pytest.raises(BadRequestError):
        client.uploads.parts.create(upload.id, data=b"more")
    with pytest.raises(BadRequestError):
        client.uploads.cancel(upload.id)


def test_an_upload_can_be_given_up(client: OpenAI) -> None:
    upload = client.uploads.create(bytes=3, filename="a.txt", mime_type="text/plain", purpose="user_data")
    part = client.uploads.parts.create(upload.id, data=b"abc")
    assert client.uploads.cancel(upload.id).status == "cancelled"
    assert client.uploads.cancel(upload.id).status == "cancelled"
    with pytest.raises(BadRequestError):
        client.uploads.complete(upload.id, part_ids=[part.id])


def test_the_clients_own_helper_uploads_in_chunks(client: OpenAI) -> None:
    data = os.urandom(500_000)
    done = client.uploads.upload_file_chunked(
        file=data, filename="c.bin", bytes=len(data), mime_type="application/octet-stream", purpose="user_data",
        part_size=100_000,
    )  # fmt: skip
    assert done.file is not None
    assert client.files.content(done.file.id).read() == data


def test_parts_may_come_at_the_same_time(client: OpenAI) -> None:
    data = os.urandom(1_000_000)
    assert client.files.content(upload_whole(client, data, 10).id).read() == data
