"""``caravan config``: the stack file."""

from __future__ import annotations

import json
import logging
from typing import Annotated

import typer

app = typer.Typer(help="Check and show the stack file (caravan.yaml).", no_args_is_help=True)
FileArgument = Annotated[
    str | None,
    typer.Argument(metavar="[STACK]", help="A file, or starter, openai, ollama, vllm.", show_default="as `caravan up`"),
]


@app.command()
def check(stack: FileArgument = None) -> None:
    """Print every mistake with its line (exit code 1), else the effective configuration, secrets redacted.

    What is only not used is a warning: it is printed too, and keeps nothing from starting.
    """
    from caravan.runtime.options import find_stack

    chosen = find_stack(stack)
    mistakes, warnings = problems_of(chosen)
    for line in (*mistakes, *warnings):
        typer.echo(line, err=True)
    if mistakes:
        raise typer.Exit(1)
    logging.getLogger("caravan_registry").setLevel(logging.ERROR)  # the warnings stand above already
    _print_effective(chosen)


@app.command()
def show(stack: FileArgument = None) -> None:
    """Print the effective configuration: variables filled in, secrets redacted."""
    from caravan.runtime.options import find_stack

    _print_effective(find_stack(stack))


@app.command()
def schema() -> None:
    """Print the JSON Schema of the stack file, for editors."""
    from caravan_registry import stack as stacks

    typer.echo(json.dumps(stacks.json_schema(), indent=2))


def problems_of(stack: str) -> tuple[list[str], list[str]]:
    """Mistakes and warnings of a stack, ``FILE:LINE: what is wrong``; none when no registry is installed to read it."""
    try:
        from caravan_registry import stack as stacks
    except ImportError as error:
        if not (error.name or "").startswith("caravan_registry"):
            raise
        return [], []
    mistakes: list[str] = []
    warnings: list[str] = []
    for problem in stacks.check(stack):
        where = f"{stack}:{problem.line}" if problem.line else stack
        if problem.severity == "error":
            mistakes.append(f"{where}: {problem.message}")
        else:
            warnings.append(f"{where}: warning: {problem.message}")
    return mistakes, warnings


def _print_effective(stack: str) -> None:
    import yaml
    from caravan_registry import stack as stacks

    typer.echo(yaml.safe_dump(stacks.effective(stack), sort_keys=False, allow_unicode=True), nl=False)
