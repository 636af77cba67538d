"""What may be put into the registry, and what comes out of it."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from caravan_contracts import headers as h
from caravan_contracts import subjects as s
from caravan_contracts.context import Principal
from caravan_contracts.errors import (
    CaravanError,
    Conflict,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    SecretInConfig,
)
from caravan_contracts.registry import ResourceKind, Source

from tests.registry.bench import Bench

pytestmark = pytest.mark.asyncio(loop_scope="session")

PROVIDER, MODEL = ResourceKind.PROVIDER, ResourceKind.MODEL
ACME = Principal(tenant="acme", subject="bob", roles=("admin",))


async def test_what_was_put_is_in_the_snapshot_and_told_as_a_fact(bench: Bench) -> None:
    await bench.registry()
    await bench.put_provider("p", base_url="http://localhost:1/v1", api_key="${env.KEY}")
    changed = await bench.put_model("p/m", aliases=["fast"])
    assert changed.revision == changed.resource.revision == 2
    revision, rows = await bench.snapshot()
    assert revision == 2
    assert list(rows) == ["default/model/p/m", "default/provider/p"]
    assert rows["default/model/p/m"] == changed.resource
    assert rows["default/model/p/m"].source is Source.API
    await bench.eventually(lambda: [fact.revision for fact in bench.facts] == [1, 2])
    assert bench.facts[1].previous == 1
    assert bench.facts[1].changed == [changed.resource]


async def test_putting_the_same_again_changes_nothing(bench: Bench) -> None:
    await bench.registry()
    first = await bench.put_provider("p", a=1)
    again = await bench.put_provider("p", a=1)
    assert again == first
    assert (await bench.put_provider("p", a=2)).revision == 2


async def test_fifty_puts_at_once_make_fifty_revisions_without_gaps(bench: Bench) -> None:
    await bench.registry()
    await bench.registry()
    await bench.put_provider("p")
    changes = await asyncio.gather(*(bench.put_model(f"p/m{n}") for n in range(50)))
    assert sorted(change.revision for change in changes) == list(range(2, 52))
    await bench.eventually(lambda: len(bench.facts) == 51)
    assert sorted((fact.previous, fact.revision) for fact in bench.facts) == [(n, n + 1) for n in range(51)]


async def test_a_replacement_may_depend_on_the_revision(bench: Bench) -> None:
    await bench.registry()
    made = await bench.put(PROVIDER, "p", {"provider_type": "remote::openai"}, if_revision=0)
    with pytest.raises(Conflict, match=r"at revision 1, not 7"):
        await bench.put(PROVIDER, "p", {"provider_type": "remote::vllm"}, if_revision=7)
    await bench.put(PROVIDER, "p", {"provider_type": "remote::vllm"}, if_revision=made.resource.revision)


async def test_deleting_a_provider_takes_its_models_along(bench: Bench) -> None:
    await bench.registry()
    await bench.put_provider("p")
    await bench.put_provider("q")
    await bench.put_model("p/m")
    await bench.put_model("q/m", "q")
    await bench.report("p", "found")
    await bench.delete(PROVIDER, "p")
    assert list((await bench.snapshot())[1]) == ["default/model/q/m", "default/provider/q"]
    with pytest.raises(NotFound):
        await bench.delete(PROVIDER, "p")


async def test_only_administrators_change_anything(bench: Bench) -> None:
    await bench.registry()
    for principal in (Principal(), Principal(roles=("user",))):
        with pytest.raises(PermissionDenied):
            await bench.put_provider("p", principal)
        with pytest.raises(PermissionDenied):
            await bench.delete(PROVIDER, "p", principal)


@pytest.mark.parametrize(
    ("name", "body", "param", "message"),
    [
        ("a/b", {"provider_type": "remote::openai"}, "id", "the provider id"),
        ("p", {"provider_type": "openai"}, "body.provider_type", "remote::openai"),
        ("p", {"config": {}}, "body.provider_type", "Field required"),
        ("p", {"provider_type": "remote::x", "config": []}, "body.config", "dictionary"),
        ("p", {"provider_type": "remote::x", "slots": 0}, "body.slots", "greater than or equal to 1"),
        ("p", {"provider_type": "remote::x", "config": {"base_url": "nowhere"}}, "body.config", "is no URL"),
        ("p", {"provider_type": "remote::x", "config": {"a": "${env.lower}"}}, "body.config", "is no reference"),
        ("p", {"provider_type": "remote::x", "config": {"a": "${env.DATABASE_URL}"}}, "body.config", "belongs to"),
        ("p", {"provider_type": "remote::x", "config": {"a": "\x00"}}, "body", "zero byte"),
        ("p", {"provider_type": "remote::x", "config": {"a": "x" * 70_000}}, "body", "the limit is"),
    ],
)
async def test_a_provider_that_breaks_a_rule_is_refused_by_name(
    bench: Bench, name: str, body: dict[str, object], param: str, message: str
) -> None:
    await bench.registry()
    with pytest.raises(InvalidRequest, match=message) as caught:
        await bench.put(PROVIDER, name, body)
    assert (caught.value.status, caught.value.param) == (400, param)


async def test_a_secret_written_out_is_refused_with_the_way_to_write_it(bench: Bench) -> None:
    await bench.registry()
    for config in (
        {"api_key": "sk-12345"},
        {"headers": {"Authorization": "Bearer sk-12345"}},
        {"api_key": "${env.KEY:=sk-12345}"},
        {"base_url": "http://user:sk-12345@localhost/v1"},
    ):
        with pytest.raises(SecretInConfig) as caught:
            await bench.put_provider("p", **config)
        assert "${env.NAME}" in caught.value.message
        assert "sk-12345" not in caught.value.message
    await bench.put_provider("p", api_key_file="/run/secrets/key", headers={"Authorization": "Bearer ${env.KEY}"})


@pytest.mark.parametrize(
    ("name", "more", "param"),
    [
        (" m", {}, "id"),
        ("m\n", {}, "id"),
        ("m", {"provider_resource_id": ""}, "body.provider_resource_id"),
        ("m", {"provider_id": "nope"}, "provider_id"),
        ("m", {"model_type": "poem"}, "body.model_type"),
        ("m", {"aliases": ["a", "a"]}, "body.aliases"),
        ("m", {"metadata": {"context_length": "long"}}, "body.metadata"),
    ],
)
async def test_a_model_that_breaks_a_rule_is_refused_by_name(
    bench: Bench, name: str, more: dict[str, object], param: str
) -> None:
    await bench.registry()
    await bench.put_provider("p")
    with pytest.raises(InvalidRequest) as caught:
        await bench.put(MODEL, name, {"provider_id": "p", "provider_resource_id": "m", **more})
    assert caught.value.param == param


async def test_an_alias_belongs_to_one_model(bench: Bench) -> None:
    await bench.registry()
    await bench.put_provider("p")
    await bench.put_model("one", aliases=["fast"])
    with pytest.raises(Conflict, match="one"):
        await bench.put_model("two", aliases=["slow", "fast"])
    with pytest.raises(Conflict, match="one"):
        await bench.put_model("two", aliases=["one"])
    await bench.put_model("one", aliases=["fast", "faster"])


async def test_a_broken_message_is_answered_too(bench: Bench) -> None:
    await bench.registry()
    from caravan_bus.transport import Message, encode_headers

    answers: list[Message] = []
    await bench.bus.subscribe("_INBOX.gateway.raw.*", answers.append)
    headers = encode_headers(bench.context().to_headers())
    for number, data in enumerate((b"", b"{", b"[]", b'{"kind":"poem","id":"x","body":{}}', b"\xff", b"[" * 100_000)):
        bench.bus.publish(s.request("registry", "put"), data, f"_INBOX.gateway.raw.{number}", headers)
    bad_principal = encode_headers({h.PRINCIPAL: "[]", h.DEADLINE_MS: "1000"})
    bench.bus.publish(s.request("registry", "snapshot"), b"{}", "_INBOX.gateway.raw.principal", bad_principal)
    await bench.eventually(lambda: len(answers) == 7)
    for answer in answers:
        assert answer.headers[h.SERVICE_ERROR_CODE] == "400"
        assert "\n" not in answer.headers[h.SERVICE_ERROR]
        assert set(orjson.loads(answer.data)["error"]) == {"message", "type", "param", "code"}
        assert isinstance(CaravanError.from_wire(answer.data), InvalidRequest)


async def test_a_request_without_an_answer_to_give_harms_nobody(bench: Bench) -> None:
    await bench.registry()
    bench.bus.publish(s.request("registry", "put"), b"{")
    bench.bus.publish(s.request("registry", "snapshot"), b"{}")
    await bench.snapshot()


class TestTenants:
    async def test_resources_of_a_tenant_are_its_own(self, bench: Bench) -> None:
        await bench.registry()
        await bench.put_provider("shared")
        await bench.put_provider("theirs", ACME)
        await bench.put_model("theirs/m", "theirs", ACME)
        await bench.put_model("mine", "shared", ACME)
        view = await bench.view()
        assert [m.id for m in view.catalog.models("acme")] == ["mine", "theirs/m"]
        assert [p.id for p in view.catalog.providers("acme")] == ["shared", "theirs"]
        assert view.catalog.models("default") == []
        with pytest.raises(NotFound):
            await bench.delete(MODEL, "mine")
        with pytest.raises(InvalidRequest, match="there are: shared"):
            await bench.put_model("x", "theirs")

    async def test_a_provider_id_belongs_to_one_tenant(self, bench: Bench) -> None:
        await bench.registry()
        await bench.put_provider("p")
        with pytest.raises(Conflict, match="taken"):
            await bench.put_provider("p", ACME)

    async def test_a_tenant_cannot_reach_the_secrets_of_others(self, bench: Bench) -> None:
        await bench.registry()
        for config in (
            {"base_url": "http://evil", "api_key": "${env.OPENAI_API_KEY}"},
            {"api_key_file": "/etc/shadow"},
            {"tls": {"ca_file": "/etc/shadow"}},
        ):
            with pytest.raises(PermissionDenied):
                await bench.put_provider("q", ACME, **config)
        with pytest.raises(PermissionDenied):
            await bench.put_provider("q", ACME, "inline::llama-cpp", model_id="x")
        await bench.put_provider("q", ACME, api_key="${env.TENANT_ACME__KEY}")


class TestSnapshot:
    async def test_pages_are_bounded_by_count_and_bytes(self, bench: Bench) -> None:
        await bench.registry()
        await bench.put_provider("p")
        for n in range(30):
            await bench.put_model(f"p/m{n:02}", metadata={"note": "x" * 40_000})
        first = await bench.page()
        assert 1 < len(first.resources) < 20
        assert len(first.model_dump_json()) < 700_000
        small = await bench.page(limit=3)
        assert len(small.resources) == 3
        second = await bench.page(limit=3, after=small.next, revision=small.revision)
        assert [r.id for r in second.resources] == ["p/m03", "p/m04", "p/m05"]
        assert len((await bench.snapshot())[1]) == 31

    async def test_a_change_between_two_pages_begins_it_again(self, bench: Bench) -> None:
        await bench.registry()
        await bench.put_provider("a")
        await bench.put_provider("b")
        first = await bench.page(limit=1)
        await bench.put_provider("c")
        second = await bench.page(limit=1, after=first.next, revision=first.revision)
        assert (second.restart, second.revision, second.resources) == (True, 3, [])


@pytest.mark.parametrize("name", ["", "a\x00b", "\u2028", "x" * 300, " p"])
async def test_deleting_what_can_not_be_there_is_not_found(bench: Bench, name: str) -> None:
    await bench.registry()
    for kind in (PROVIDER, MODEL):
        with pytest.raises(NotFound):
            await bench.delete(kind, name)


async def test_a_tenants_file_is_found_in_a_list_too(bench: Bench) -> None:
    await bench.registry()
    with pytest.raises(PermissionDenied, match="files of a worker"):
        await bench.put_provider("q", principal=ACME, more=[{"api_key_file": "/run/secrets/caravan/nkey"}])


async def test_a_tenants_variables_are_not_those_of_one_whose_name_begins_with_its_own(bench: Bench) -> None:
    await bench.registry()
    longer = Principal(tenant="acme-x", subject="eve", roles=("admin",))
    await bench.put_provider("mine", longer, api_key="${env.TENANT_ACME_X__KEY}")
    for name in ("TENANT_ACME_X__KEY", "TENANT_ACME_KEY", "TENANT_OTHER__KEY"):
        with pytest.raises(PermissionDenied, match="begin with TENANT_ACME__"):
            await bench.put_provider("q", ACME, api_key=f"${{env.{name}}}")
