"""The routes by themselves: forms in any order, ranges, bounds, bodies that lie, and other tenants."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
from typing import Any

import httpx2 as httpx
import pytest
from openai import OpenAI

from tests.files.bodies import END, Line, field, file_head, form, headers
from tests.mesh.running import RunningMesh
from tests.mesh.tenants import BOB


def ids(http: httpx.Client) -> set[str]:
    return {row["id"] for row in http.get("/v1/files").json()["data"]}


def post(http: httpx.Client, body: bytes, path: str = "/v1/files") -> httpx.Response:
    return http.post(path, content=body, headers=headers())


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("prefix", ["/v1", "/v1/openai/v1"])
def test_fields_may_stand_anywhere(http: httpx.Client, late: bool, prefix: str) -> None:
    made = post(http, form("a.txt", b"hello", late=late), f"{prefix}/files")
    assert made.status_code == 200, made.text
    file = made.json()
    assert made.headers["x-request-id"]
    assert http.get(f"{prefix}/files/{file['id']}").json() == file
    assert http.get(f"{prefix}/files/{file['id']}/content").content == b"hello"
    assert set(file) == {
        "id", "object", "bytes", "created_at", "expires_at", "filename", "purpose", "status", "status_details",
    }  # fmt: skip


@pytest.mark.parametrize(
    "expires", [field("expires_after", '{"anchor": "created_at", "seconds": 7200}'),
                field("expires_after[anchor]", "created_at") + field("expires_after[seconds]", "7200")],
)  # fmt: skip
def test_both_forms_of_expires_after(http: httpx.Client, expires: bytes) -> None:
    file = post(http, expires + form("a.txt", b"hello")).json()
    assert file["expires_at"] == file["created_at"] + 7200


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (file_head("a.txt") + b"x" + END, "purpose"),
        (field("purpose", "user_data") + END.lstrip(), "file"),
        (field("purpose", "nonsense") + file_head("a.txt") + b"x" + END, "purpose"),
        (form("a.txt", b"x", purpose="nonsense", late=True), "purpose"),
        (field("purpose", "user_data") + field("file", "x") + END.lstrip(), "file"),
        (form("a.txt", b""), "file"),
        (form("a.jsonl", b"{\n", purpose="batch", late=True), "file"),
        (field("expires_after", "[]") + form("a.txt", b"x"), "expires_after"),
        (field("expires_after[seconds]", "7200") + form("a.txt", b"x"), "expires_after.anchor"),
        (file_head("b.txt") + b"y\r\n" + form("a.txt", b"x"), "file"),
    ],
)
def test_forms_that_are_refused_leave_nothing(http: httpx.Client, body: bytes, param: str) -> None:
    before = ids(http)
    made = post(http, body)
    assert made.status_code == 400, made.text
    assert made.json()["error"]["param"] == param
    assert made.json()["error"]["type"] == "invalid_request_error"
    assert ids(http) == before


def test_bodies_that_are_no_form(http: httpx.Client) -> None:
    assert http.post("/v1/files", json={"purpose": "user_data"}).status_code == 415
    assert http.post("/v1/files", content=b"x", headers=headers()).json()["error"]["code"] == "invalid_multipart"
    made = http.post("/v1/files", content=b"x", headers={"Content-Type": "multipart/form-data"})
    assert made.json()["error"]["code"] == "invalid_multipart"


def test_nobody_uploads_without_a_key(mesh: RunningMesh) -> None:
    with httpx.Client(base_url=mesh.url) as nobody:
        for path in ("/v1/files", "/v1/uploads/upload_1/parts"):
            assert nobody.post(path, content=form("a.txt", b"x"), headers=headers("wrong")).status_code == 401


def test_a_name_cannot_break_out_of_its_header(http: httpx.Client) -> None:
    name = "../x\\\\%22é;a.html"
    file = post(
        http, field("purpose", "user_data") + file_head(name, media_type="text/html") + b"<script>" + END
    ).json()
    got = http.get(f"/v1/files/{file['id']}/content")
    assert got.headers["content-disposition"].startswith("attachment; ")
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in got.headers["content-security-policy"]
    assert "/" not in file["filename"] and "\\" not in file["filename"]


def test_ranges_heads_and_tags(http: httpx.Client) -> None:
    data = os.urandom(700_000)
    path = f"/v1/files/{post(http, form('a.bin', data)).json()['id']}/content"
    whole = http.get(path)
    assert whole.content == data
    tag = f'"{hashlib.sha256(data).hexdigest()}"'
    assert whole.headers["etag"] == tag
    assert whole.headers["accept-ranges"] == "bytes"
    head = http.head(path)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "700000")

    def part(wanted: str, **more: str) -> httpx.Response:
        return http.get(path, headers={"Range": wanted, **more})

    for start, end in ((0, 10), (300_000, 600_001)):
        made = part(f"bytes={start}-{end - 1}")
        assert (made.status_code, made.content) == (206, data[start:end])
        assert made.headers["content-range"] == f"bytes {start}-{end - 1}/700000"
    assert part("bytes=-5").content == data[-5:]
    over = part("bytes=700000-")
    assert (over.status_code, over.headers["content-range"]) == (416, "bytes */700000")
    assert over.json()["error"]["code"] == "range_not_satisfiable"
    assert part("bytes=0-1,4-5").content == data
    assert part("bytes=0-9", **{"If-Range": tag}).status_code == 206
    assert part("bytes=0-9", **{"If-Range": '"other"'}).content == data
    assert http.get(path, headers={"If-None-Match": tag}).status_code == 304
    assert http.head(path, headers={"Range": "bytes=0-9"}).headers["content-length"] == "10"


def test_a_client_that_reads_slowly_or_leaves_costs_nothing(http: httpx.Client, mesh: RunningMesh) -> None:
    data = os.urandom(8_000_000)
    path = f"/v1/files/{post(http, form('a.bin', data)).json()['id']}/content"
    for _ in range(5):
        with http.stream("GET", path) as left:
            next(left.iter_bytes())
    assert http.get(path).content == data


@pytest.mark.parametrize("chunked", [False, True])
def test_what_is_too_large_is_refused(http: httpx.Client, mesh: RunningMesh, chunked: bool) -> None:
    before = ids(http)
    line = Line(mesh.url, length=None if chunked else 600 * 1024**2)
    upload = http.post(
        "/v1/uploads", json={"bytes": 10, "filename": "a", "mime_type": "x/y", "purpose": "user_data"}
    ).json()
    if not chunked:
        assert line.answer().startswith(b"HTTP/1.1 413")
    else:
        line.close()
        line = Line(mesh.url, f"/v1/uploads/{upload['id']}/parts")
        line.chunk(file_head("a", "data"))
        with contextlib.suppress(ConnectionError):
            for _ in range(70):
                line.chunk(bytes(1024 * 1024))
        assert line.answer().startswith(b"HTTP/1.1 413")
    line.close()
    assert ids(http) == before


def test_a_body_that_lies_about_its_length(http: httpx.Client, mesh: RunningMesh) -> None:
    before = ids(http)
    body = form("lies.txt", b"x" * 5000)
    short = Line(mesh.url, length=len(body) - 100)
    short.send(body[: len(body) - 100])
    assert short.answer().startswith(b"HTTP/1.1 400")
    short.close()
    long = Line(mesh.url, length=len(body) + 100)
    long.send(body[:-20])
    assert long.answer().startswith(b"HTTP/1.1 408")  # what it promised does not come
    long.close()
    assert ids(http) == before


def test_a_client_that_leaves_takes_its_file_along(http: httpx.Client, mesh: RunningMesh) -> None:
    before = ids(http)
    drafts = mesh.folder / "data/objects/.drafts"
    left = Line(mesh.url, length=50_000_000)
    left.send(form("left.bin", os.urandom(3_000_000))[:-100])
    mesh.until(lambda: any(drafts.iterdir()))
    left.socket.shutdown(socket.SHUT_RDWR)
    left.close()
    mesh.until(lambda: not any(drafts.iterdir()))
    assert ids(http) == before


def routes(file: str, upload: str) -> list[tuple[str, str, Any]]:
    return [
        ("GET", f"/v1/files/{file}", None),
        ("GET", f"/v1/files/{file}/content", None),
        ("HEAD", f"/v1/files/{file}/content", None),
        ("GET", f"/v1/files?after={file}", None),
        ("DELETE", f"/v1/files/{file}", None),
        ("POST", f"/v1/uploads/{upload}/parts", field("x", "y") + file_head("a", "data") + b"x" + END),
        ("POST", f"/v1/uploads/{upload}/complete", {"part_ids": ["part_" + "0" * 32]}),
        ("POST", f"/v1/uploads/{upload}/cancel", None),
    ]


def test_another_tenants_ids_are_as_if_they_never_were(client: OpenAI, http: httpx.Client, mesh: RunningMesh) -> None:
    file = client.files.create(file=("a.txt", b"secret"), purpose="user_data").id
    upload = client.uploads.create(bytes=3, filename="a", mime_type="text/plain", purpose="user_data").id
    part = client.uploads.parts.create(upload, data=b"abc").id
    with httpx.Client(base_url=mesh.url, headers={"Authorization": f"Bearer {BOB}"}, timeout=30) as bob:
        for other in (file, "file-" + "0" * 32, "nonsense", "%00"):
            for method, path, body in routes(other, upload if other == file else "upload_" + "0" * 32):
                given: dict[str, Any] = {"json": body} if isinstance(body, dict) else {}
                if isinstance(body, bytes):
                    given = {"content": body, "headers": headers(BOB)}
                made = bob.request(method, path, **given)
                assert made.status_code == 404, (method, path, made.text)
                assert b"secret" not in made.content
        assert file not in bob.get("/v1/files").text
        own = bob.post(
            "/v1/uploads", json={"bytes": 3, "filename": "a", "mime_type": "x/y", "purpose": "user_data"}
        ).json()
        stolen = bob.post(f"/v1/uploads/{own['id']}/complete", json={"part_ids": [part]})
        assert stolen.status_code == 400
    assert http.get(f"/v1/files/{file}/content").content == b"secret"
    assert client.uploads.complete(upload, part_ids=[part]).status == "completed"


@pytest.mark.parametrize(
    "body",
    [
        {"filename": "a", "mime_type": "x/y", "purpose": "user_data"},
        {"bytes": 0, "filename": "a", "mime_type": "x/y", "purpose": "user_data"},
        {"bytes": 3, "filename": "a", "mime_type": "x/y", "purpose": "nonsense"},
        {"bytes": 3, "filename": "a", "mime_type": "x/y", "purpose": "user_data", "expires_after": {"seconds": 1}},
    ],
)
def test_uploads_that_are_refused(http: httpx.Client, body: dict[str, Any]) -> None:
    assert http.post("/v1/uploads", json=body).status_code == 400


def test_an_upload_is_as_large_as_a_file_may_be(http: httpx.Client) -> None:
    body = {"bytes": 10**12, "filename": "a", "mime_type": "x/y", "purpose": "user_data"}
    assert http.post("/v1/uploads", json=body).status_code == 413


def test_the_document_names_every_route(http: httpx.Client) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    assert {"get", "post"} <= paths["/v1/files"].keys()
    assert {"get", "delete"} <= paths["/v1/files/{file}"].keys()
    assert "get" in paths["/v1/files/{file}/content"]
    for path in ("", "/{upload}/parts", "/{upload}/complete", "/{upload}/cancel"):
        assert "post" in paths[f"/v1/uploads{path}"]


def test_bytes_lie_where_only_this_user_reads_them(http: httpx.Client, mesh: RunningMesh) -> None:
    post(http, form("a.txt", b"x"))
    folder = mesh.folder / "data/objects"
    assert folder.stat().st_mode & 0o777 == 0o700
    # the tenant's digest, not its name, is in the path
    assert not any("acme" in path.name for path in folder.rglob("*"))
