"""``caravan connect``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caravan.cli.gateway import KEY_VARIABLE, Gateway
from caravan.cli.options import DataDirOption, UrlOption

if TYPE_CHECKING:
    from caravan.connecting.base import Target, Tool


def connect(
    tool: Annotated[
        str | None,
        typer.Argument(help="claude, codex, opencode, aider, continue or env; without it: what each of them is."),
    ] = None,
    model: Annotated[str | None, typer.Option(show_default="the first chat model of the server")] = None,
    small_model: Annotated[
        str | None, typer.Option(help="For titles and other small things.", show_default="the same")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Change the tool's own file: shows what changes, asks, keeps a copy.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --write: do not ask.")] = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Point a coding agent at this server: print the settings it needs, or write them into its file.

    \b
    caravan connect claude              print the settings of Claude Code
    caravan connect codex --write       show what changes in ~/.codex, ask, write
    eval "$(caravan connect env)"       for all that is started in this shell

    The settings go to stdout, what to do with them to stderr.
    A key stays in $CARAVAN_API_KEY: no file holds it.
    """
    from caravan.connecting.tools import TOOLS

    if tool is None:
        _list(list(TOOLS.values()))
        return
    if tool not in TOOLS:
        raise typer.BadParameter(f"{tool!r} is none of {', '.join(TOOLS)}", param_hint="TOOL")
    chosen, target = TOOLS[tool], _target(Gateway.find(url, data_dir), model, small_model)
    if write:
        _write(chosen, target, yes)
    else:
        _print(chosen, target)


def _target(gateway: Gateway, model: str | None, small_model: str | None) -> Target:
    from caravan.cli import choosing
    from caravan.connecting.base import Target

    models = choosing.chat_models(gateway)
    main = choosing.check(model, models) if model else str(models[0]["id"])
    small = choosing.check(small_model, models) if small_model else main
    keyed = bool(os.environ.get(KEY_VARIABLE, "").strip())
    return Target(gateway.url, main, small, tuple(str(one["id"]) for one in models), keyed)


def _print(tool: Tool, target: Target) -> None:
    path = tool.path(Path.home(), os.environ)
    if path is not None:
        _say([f"{tool.title} reads this from {path}; `caravan connect {tool.name} --write` puts it there."])
    typer.echo(tool.fragment(target), nl=False)
    _say(tool.afterwards(target))


def _write(tool: Tool, target: Target, yes: bool) -> None:
    from caravan.connecting import files
    from caravan.connecting.base import CannotMerge

    path = tool.path(Path.home(), os.environ)
    if path is None:
        raise CannotMerge(tool, f"The settings of {tool.title} are in no file")
    before = files.read(path)
    after = tool.merged(before, target)
    changes = files.difference(path, before, after)
    if not changes:
        typer.echo(f"{path} says so already.")
        return
    typer.echo(changes, nl=False)
    if not yes:
        typer.confirm(f"Change {path}?", abort=True)
    backup = files.replace(path, after)
    typer.echo(f"{path} is written." + (f" What was there is in {backup}." if backup else ""))
    _say(tool.afterwards(target))


def _list(tools: list[Tool]) -> None:
    from caravan.cli import console

    shown = console.table("tool", "what it is", "speaks", "its settings")
    for tool in tools:
        shown.add_row(tool.name, tool.title, tool.api, str(tool.path(Path.home(), os.environ) or "the environment"))
    console.out().print(shown)


def _say(steps: list[str]) -> None:
    for step in steps:
        typer.echo(f"# {step}", err=True)
