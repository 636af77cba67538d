"""``caravan status``."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from caravan.cli.options import DataDirOption, JsonOption

if TYPE_CHECKING:
    from caravan.runtime.paths import DataDir
    from caravan.runtime.state import State


def status(
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
    show_secrets: Annotated[
        bool, typer.Option("--show-secrets", help="Put the passwords into the URLs of PostgreSQL and Valkey.")
    ] = False,
) -> None:
    """Show what runs and where, which workers answer on the bus, and which models there are.

    Exit code 1 when nothing runs on the data folder.
    """
    from caravan.errors import NotRunning
    from caravan.runtime import state
    from caravan.runtime.paths import DataDir

    data = DataDir.at(data_dir)
    current = state.running(data)
    if current is None:
        if as_json:
            typer.echo(json.dumps({"running": False, "data_dir": str(data.root)}, indent=2))
            raise typer.Exit(1)
        raise NotRunning(data.root)
    report = gather(data, current, show_secrets)
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        _show(current, report)


def gather(data: DataDir, current: State, show_secrets: bool = False) -> dict[str, Any]:
    """Everything that `--json` prints."""
    from caravan import __version__
    from caravan.runtime import bus_users

    problems: list[str] = []
    urls = dict(current.urls)
    files = {"postgres": data.run / "database.url", "redis": data.run / "redis.url"}
    if show_secrets:
        urls |= {name: path.read_text().strip() for name, path in files.items() if path.exists()}
    return {
        "running": True,
        "phase": current.phase,
        "version": __version__,
        "pid": current.pid,
        "started_at": current.started_at,
        "uptime_seconds": round(time.time() - current.started_at, 1),
        "data_dir": str(data.root),
        "urls": urls,
        "secret_files": {
            "nats_operator_seed": str(bus_users.seed_file(data, "operator")),
            "postgres_url": str(files["postgres"]),
            "redis_url": str(files["redis"]),
        },
        "services": [_service(current, child.name) for child in current.children],
        "workers": _workers(data, current, problems),
        "models": _models(current, problems),
        "problems": problems,
    }


def _service(current: State, name: str) -> dict[str, Any]:
    child = current.child(name)
    assert child is not None
    server = name in ("nats", "postgres", "valkey")
    return {
        "name": name,
        "kind": "server" if server else "service",
        "state": child.phase,
        "pid": child.pid,
        "restarts": child.restarts,
        "since": child.since,
        "log": f"{name}.log",
        "ops_url": None if server or not child.port else f"http://127.0.0.1:{child.port}",
    }


def _workers(data: DataDir, current: State, problems: list[str]) -> list[dict[str, Any]]:
    from caravan.cli import discovery

    if "nats" not in current.urls:
        return []
    try:
        return asyncio.run(discovery.ask(data, current.urls["nats"]))
    except OSError as error:
        problems.append(str(error))
        return []


def _models(current: State, problems: list[str]) -> list[dict[str, Any]]:
    from caravan.cli.gateway import Gateway, GatewayError

    if "gateway" not in current.urls:
        return []
    try:
        return Gateway(current.urls["gateway"]).models()
    except GatewayError as error:
        problems.append(str(error))
        return []


def _show(current: State, report: dict[str, Any]) -> None:
    from caravan.cli import console, summary

    out = console.out()
    up_for = console.duration(report["uptime_seconds"])
    out.print(f"[bold]{current.phase}[/] for {up_for}, data in {report['data_dir']}\n")
    out.print(summary.parts(current))
    workers = console.table("on the bus", "id", "requests", "errors")
    for worker in report["workers"]:
        endpoints = worker.get("endpoints", [])
        requests = sum(endpoint.get("num_requests", 0) for endpoint in endpoints)
        errors = sum(endpoint.get("num_errors", 0) for endpoint in endpoints)
        workers.add_row(worker["name"], worker["id"], str(requests), str(errors))
    out.print()
    out.print(workers)
    names = [model["id"] for model in report["models"]]
    out.print(f"\n[bold]Models[/] {', '.join(names) or 'none'}")
    for problem in report["problems"]:
        console.problem(problem)
