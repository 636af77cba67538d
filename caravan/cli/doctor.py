"""``caravan doctor``."""

from __future__ import annotations

import typer

from caravan import defaults
from caravan.cli.options import DataDirOption

_MARKS = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "bad": "[bold red]bad[/]"}


def doctor(data_dir: DataDirOption = None, port: int = defaults.PORT) -> None:
    """Look for what could keep Caravan from running here, and say what to do. Exit code 1 if something would."""
    from rich.markup import escape

    from caravan.cli import checks, console
    from caravan.runtime.paths import DataDir

    shown = console.table("", "what", "finding")
    findings = checks.everything(DataDir.at(data_dir), port)
    for finding in findings:
        shown.add_row(_MARKS[finding.verdict], finding.what, escape(finding.text))
    console.out().print(shown)
    if any(finding.verdict == "bad" for finding in findings):
        raise typer.Exit(1)
