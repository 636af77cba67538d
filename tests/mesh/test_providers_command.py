"""``caravan providers`` against a whole mesh."""

from __future__ import annotations

from openai import OpenAI

from tests.mesh.running import RunningMesh


def test_a_provider_is_added_with_settings_that_are_no_text(mesh: RunningMesh, client: OpenAI) -> None:
    settings = [f"base_url={mesh.upstream.url}", "allow_unlisted=true"]
    options = [part for setting in settings for part in ("--set", setting)]
    added = mesh.command("providers", "add", "typed", "remote::openai-compatible", *options)
    assert added.returncode == 0, added.stderr
    try:
        mesh.until(lambda: "typed/plain" in mesh.model_ids())
        shown = next(row for row in mesh.get("/v1/providers")["data"] if row["provider_id"] == "typed")
        assert shown["config"]["allow_unlisted"] is True
        answer = client.chat.completions.create(
            model="typed/slow-0", messages=[{"role": "user", "content": "hello"}], max_tokens=2
        )
        assert answer.choices[0].message.content == "w0 w1 "
    finally:
        removed = mesh.command("providers", "remove", "typed")
    assert removed.returncode == 0, removed.stderr
