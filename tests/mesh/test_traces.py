"""One trace per request, from the client's traceparent to the provider, as an OTLP collector receives it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2 as httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.mesh.running import RESPONSES, RunningMesh
from tests.upstream.scripted import ScriptedUpstream

TRACE = "0af7651916cd43dd8448eb211c80319c"
CLIENT = "b7ad6b7169203331"


class Collector:
    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    names = {a.key: a.value.string_value for a in resource.resource.attributes}
                    for scope in resource.scope_spans:
                        collector.spans += [(names["service.name"], span) for span in scope.spans]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def of(self, trace: str) -> dict[str, tuple[str, Any]]:
        return {span.name: (service, span) for service, span in self.spans if span.trace_id.hex() == trace}

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


@pytest.fixture(scope="module")
def traced(
    upstream: ScriptedUpstream, collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningMesh]:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
    made = RunningMesh(tmp_path_factory.mktemp("traced"), upstream, scale=RESPONSES, environment=environment)
    made.start()
    yield made
    made.stop()


def attributes(span: Any) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}


@pytest.mark.parametrize("stream", [False, True])
def test_http_bus_worker_and_provider_are_one_trace(
    traced: RunningMesh, collector: Collector, upstream: ScriptedUpstream, stream: bool
) -> None:
    trace = TRACE[:-1] + str(int(stream))
    body = {"model": "up/plain", "stream": stream, "messages": [{"role": "user", "content": "secret prompt"}]}
    headers = {"traceparent": f"00-{trace}-{CLIENT}-01"}
    assert httpx.post(f"{traced.url}/v1/chat/completions", json=body, headers=headers).status_code == 200
    traced.until(lambda: len(collector.of(trace)) == 4, 30)
    spans = collector.of(trace)
    at = "caravan.v1.inference.at.{worker}.chat"
    chain = ["POST /v1/chat/completions", f"send {at}", f"process {at}", "chat plain"]
    assert spans.keys() == set(chain)
    parent = CLIENT
    for name in chain:
        assert spans[name][1].parent_span_id.hex() == parent, name
        parent = spans[name][1].span_id.hex()
    assert [spans[name][0] for name in chain] == ["caravan-gateway"] * 2 + ["caravan-inference"] * 2
    assert [spans[name][1].kind for name in chain] == [2, 4, 5, 3]  # SERVER, PRODUCER, CONSUMER, CLIENT
    call = attributes(spans["chat plain"][1])
    assert call["gen_ai.operation.name"] == "chat"
    assert call["gen_ai.request.model"] == "plain"
    assert call["gen_ai.usage.input_tokens"] == 7
    assert call["gen_ai.usage.output_tokens"] == 4
    assert upstream.asked("plain")[-1].headers["traceparent"] == f"00-{trace}-{parent}-01"
    assert all("secret prompt" not in str(span) for _, span in collector.spans)
    assert "secret prompt" not in traced.log("gateway") + traced.log("inference")


@pytest.mark.parametrize("background", [False, True])
def test_a_response_and_what_it_asks_for_are_one_trace(
    traced: RunningMesh, collector: Collector, background: bool
) -> None:
    trace = "2" * 31 + str(int(background))
    body = {"model": "up/plain", "input": "secret prompt", "background": background}
    headers = {"traceparent": f"00-{trace}-{CLIENT}-01"}
    assert httpx.post(f"{traced.url}/v1/responses", json=body, headers=headers).status_code == 200
    at = "caravan.v1.inference.at.{worker}.chat"
    names = ("invoke_agent", f"send {at}", f"process {at}", "chat plain")
    traced.until(lambda: {"POST /v1/responses", *names} <= collector.of(trace).keys(), 30)
    spans = collector.of(trace)
    parent = spans["POST /v1/responses"][1].span_id.hex()
    for name in names:
        assert spans[name][1].parent_span_id.hex() == parent, name
        parent = spans[name][1].span_id.hex()
    assert spans["invoke_agent"][0] == "caravan-agents"
    assert attributes(spans["invoke_agent"][1])["gen_ai.operation.name"] == "invoke_agent"
    assert all("secret prompt" not in str(span) for _, span in collector.spans)


def test_an_error_is_on_the_span_that_had_it(traced: RunningMesh, collector: Collector) -> None:
    trace = "1" * 32
    body = {"model": "up/status-500", "messages": [{"role": "user", "content": "x"}]}
    headers = {"traceparent": f"00-{trace}-{CLIENT}-01"}
    assert httpx.post(f"{traced.url}/v1/chat/completions", json=body, headers=headers).status_code == 500
    traced.until(lambda: len(collector.of(trace)) == 4, 30)
    call = collector.of(trace)["chat status-500"][1]
    assert attributes(call)["error.type"] == "upstream_error"
    assert call.status.code == 2


def test_what_the_client_does_not_sample_is_not_recorded(traced: RunningMesh, collector: Collector) -> None:
    trace = "2" * 32
    body = {"model": "up/plain", "messages": [{"role": "user", "content": "x"}]}
    headers = {"traceparent": f"00-{trace}-{CLIENT}-00"}
    assert httpx.post(f"{traced.url}/v1/chat/completions", json=body, headers=headers).status_code == 200
    test_marker = "3" * 32
    headers = {"traceparent": f"00-{test_marker}-{CLIENT}-01"}
    httpx.post(f"{traced.url}/v1/chat/completions", json=body, headers=headers)
    traced.until(lambda: len(collector.of(test_marker)) == 4, 30)
    assert collector.of(trace) == {}
