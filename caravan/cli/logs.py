"""``caravan logs``."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from caravan.cli.options import DataDirOption

_POLL = 0.2
_LONGEST = 64 * 1024
"""Bytes read per wanted line at most, from the end of the file."""
_SHOWN = frozenset(("ts", "time", "timestamp", "level", "message", "msg", "event", "logger", "service", "instance"))


def logs(
    service: Annotated[
        str | None, typer.Argument(help="One child, as in inference or inference-2; all of them unless given.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many lines from the end.", min=0)] = 40,
    raw: Annotated[bool, typer.Option("--raw", help="Print JSON lines as they are.")] = False,
    data_dir: DataDirOption = None,
) -> None:
    """Print the end of the logs of services and servers."""
    from caravan.runtime.paths import DataDir

    files = _files(DataDir.at(data_dir).logs, service)
    width = max(len(file.stem) for file in files) if len(files) > 1 else 0
    for file in files:
        for line in tail(file, lines):
            _print(file.stem, line, width, raw)
    if not follow:
        return
    try:
        for name, line in _follow(files):
            _print(name, line, width, raw)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _files(folder: Path, service: str | None) -> list[Path]:
    from caravan.errors import StartError

    found = sorted(folder.glob("*.log"))
    chosen = [file for file in found if service is None or file.stem == service or file.stem.startswith(f"{service}-")]
    if not chosen:
        names = ", ".join(file.stem for file in found)
        raise StartError(
            f"There is no log of {service!r} in {folder}. There are: {names}."
            if found
            else f"There are no logs in {folder}: nothing was started there yet."
        )
    return chosen


def tail(file: Path, count: int) -> list[str]:
    """The last `count` lines."""
    with file.open("rb") as log:
        end = log.seek(0, 2)
        log.seek(max(0, end - _LONGEST * max(1, min(count, 64))))
        return log.read().decode(errors="replace").splitlines()[-count:] if count else []


def _follow(files: list[Path]) -> Iterator[tuple[str, str]]:
    offsets = {file: file.stat().st_size for file in files}
    rest: dict[Path, bytes] = dict.fromkeys(files, b"")
    while True:
        for file in files:
            size = file.stat().st_size
            if size < offsets[file]:  # it was rotated
                offsets[file], rest[file] = 0, b""
            if size > offsets[file]:
                with file.open("rb") as log:
                    log.seek(offsets[file])
                    fresh = rest[file] + log.read()
                    offsets[file] = log.tell()
                *whole, rest[file] = fresh.split(b"\n")
                for line in whole:
                    yield file.stem, line.decode(errors="replace")
        time.sleep(_POLL)


def _print(name: str, line: str, width: int, raw: bool) -> None:
    text = line if raw else readable(line)
    typer.echo(f"{name:<{width}} | {text}" if width else text)


def readable(line: str) -> str:
    """A JSON log line as ``time LEVEL message key=value``; any other line as it is."""
    if not line.startswith("{"):
        return line
    try:
        record: dict[str, Any] = json.loads(line)
    except ValueError:
        return line
    when = str(record.get("ts") or record.get("time") or record.get("timestamp") or "")
    message = record.get("message") or record.get("msg") or record.get("event") or ""
    rest = " ".join(f"{key}={value}" for key, value in record.items() if key not in _SHOWN and value not in ("", None))
    return " ".join(filter(None, (when, str(record.get("level", "")).upper(), str(message), rest)))
