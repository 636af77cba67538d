"""What an answer says beside its body: who gave it, after how many attempts, how long it took; whose request it was."""

from __future__ import annotations

import uuid

import pytest

from tests.mesh.running import RunningMesh
from tests.once.doors import Doors, chat


@pytest.mark.parametrize("stream", [False, True])
async def test_of_every_answer(doors: Doors, stream: bool) -> None:
    answer = await (await doors.open(1)).post(chat("hello", stream=stream))
    assert (answer.headers["x-caravan-target"], answer.headers["x-caravan-attempts"]) == ("up/plain", "1")
    assert int(answer.headers["openai-processing-ms"]) >= 0
    assert answer.headers["x-request-id"].startswith("req_")
    assert not {"x-caravan-cache", "x-caravan-idempotency"} & set(answer.headers)


async def test_of_a_second_attempt(doors: Doors) -> None:
    answer = await (await doors.open(1)).post(chat("hello", "up/status-503"))
    assert answer.status_code == 503
    assert int(answer.headers["openai-processing-ms"]) >= 0
    routed = await (await doors.open(1)).post(chat("hello", "spare"))
    assert (routed.headers["x-caravan-target"], routed.headers["x-caravan-attempts"]) == ("up/plain", "2")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/chat/completions", b"{", 400),
        ("/v1/chat/completions", chat("x", "nowhere/nothing"), 404),
        ("/v1/providers", {}, 403),
        ("/v1/nowhere", {}, 404),
    ],
)
async def test_of_errors(doors: Doors, path: str, body: object, status: int) -> None:
    answer = await (await doors.open(1)).post(body, path=path)
    assert answer.status_code >= 400
    assert int(answer.headers["openai-processing-ms"]) >= 0
    assert answer.headers["x-request-id"].startswith("req_")


async def test_a_name_with_a_line_end_is_one_header(doors: Doors) -> None:
    answer = await (await doors.open(1)).post(chat("hello", "up/plain\r\nevil: ü"))
    assert answer.status_code == 200
    assert "evil" not in answer.headers
    assert answer.headers["x-caravan-target"] == "up/plain%0D%0Aevil:%20%C3%BC"


async def test_the_clients_own_id_is_written_down(doors: Doors, mesh: RunningMesh) -> None:
    mine = "mine-" + uuid.uuid4().hex
    answer = await (await doors.open(1)).post(
        chat("x", "up/status-500"), X_Client_Request_Id=mine, X_Request_Id="other"
    )
    assert answer.status_code >= 500 and answer.headers["x-request-id"] != mine
    mesh.until(lambda: mine in mesh.log("gateway-1"))
    mesh.until(lambda: mine in mesh.log("inference-1") + mesh.log("inference-2"))
    lines = [line for line in mesh.log("gateway-1").splitlines() if mine in line]
    assert all(answer.headers["x-request-id"] in line and f'"client_request_id":"{mine}"' in line for line in lines)
