"""The command ``caravan``: one file per group of commands, heavy imports only inside the command that needs them."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Entry point. An error that a person can act on is one paragraph on stderr and exit code 1."""
    from caravan.cli.app import app
    from caravan.errors import StartError

    try:
        app(prog_name="caravan")
    except StartError as error:
        from caravan.cli.console import problem

        problem(str(error))
        sys.exit(1)
    except BrokenPipeError:  # `caravan logs | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
