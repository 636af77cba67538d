"""What `caravan up` shows when everything is ready: what runs, where, and a first call to paste."""

from __future__ import annotations

import json
import shlex
import time
from typing import TYPE_CHECKING

from caravan.cli import console
from caravan.cli.gateway import Gateway, GatewayError

if TYPE_CHECKING:
    from caravan.runtime.paths import DataDir
    from caravan.runtime.state import State

_MODELS_SECONDS = 3.0


def show(data: DataDir, stack: str, stop: str) -> None:
    """Print it; `stop` says how to end the mesh."""
    from caravan.runtime import state

    current = state.read(data)
    if current is None:
        return
    out = console.out()
    out.print(parts(current))
    models = wait_for_models(current.urls["gateway"])
    out.print(f"\n[bold]OpenAI API[/]   {current.urls['openai']}")
    out.print(f"[bold]Stack[/]        {stack}")
    out.print(f"[bold]Models[/]       {', '.join(models[:6]) or 'none yet: see `caravan models`'}")
    out.print(f"[bold]Data, logs[/]   {data.root}")
    out.print(f"[bold]Stop with[/]    {stop}\n")
    out.print(curl(current.urls["openai"], models[0] if models else "MODEL"), markup=False)


def parts(current: State) -> object:
    """A table of every child."""
    shown = console.table("what", "state", "pid", "where")
    for child in current.children:
        where = current.urls.get(child.name, "")
        if child.name.partition("-")[0] == "gateway":
            where = current.urls["gateway"]
        elif not where and child.port:
            where = f"http://127.0.0.1:{child.port}/readyz"
        restarts = f" ({child.restarts} restarts)" if child.restarts else ""
        if child.name == "valkey":
            where = current.urls["redis"]
        shown.add_row(child.name, f"{child.phase}{restarts}", str(child.pid or "-"), where)
    return shown


def curl(openai_url: str, model: str) -> str:
    """A streamed chat to paste into a shell."""
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "What is a caravan?"}]}
    return (
        f"curl -N {openai_url}/chat/completions -H 'content-type: application/json' \\\n  -d "
        f"{shlex.quote(json.dumps(body))}"
    )


def wait_for_models(gateway_url: str) -> list[str]:
    """Ids of the chat models; waits a moment for the first, since workers report what they find after the start."""
    gateway = Gateway(gateway_url)
    until = time.monotonic() + _MODELS_SECONDS
    while True:
        try:
            providers = gateway.call("GET", "/v1/providers")["data"]
            found = [model["id"] for model in gateway.models() if model.get("model_type", "llm") == "llm"]
        except GatewayError:
            return []
        if found or time.monotonic() > until or not providers:
            return found
        time.sleep(0.1)
