"""``caravan worker NAME``."""

from __future__ import annotations

from typing import Annotated

import typer


def worker(
    name: Annotated[str, typer.Argument(help="gateway, registry, inference, or any other installed service.")],
) -> None:
    """Run one service in the foreground, configured by environment variables alone.

    The same as `python -m caravan_NAME`. It wants NATS_URL and NATS_NKEY_SEED_FILE, and what the service itself
    needs (DATABASE_URL, REDIS_URL, CARAVAN_...); see docs/operations.md. A package named caravan_NAME that has a
    __main__ is a service, so a new one joins by being installed.
    """
    import runpy

    from caravan.errors import StartError
    from caravan.runtime import services

    known = services.installed()
    if name not in known:
        raise StartError(f"There is no service {name!r} in this environment. There are: {', '.join(known) or 'none'}.")
    runpy.run_module(services.module(name), run_name="__main__", alter_sys=True)
