"""Where the servers of the tests run: ``CARAVAN_TEST_INFRA=embedded`` (the default) or ``containers``."""

from __future__ import annotations

import os

from tests.infrastructure.protocol import CannotRun, Runtime

VARIABLE = "CARAVAN_TEST_INFRA"


def runtime() -> Runtime:
    """The chosen one; raises :class:`CannotRun` for a choice that is none."""
    chosen = os.environ.get(VARIABLE) or "embedded"
    if chosen == "embedded":
        from tests.infrastructure.embedded import Embedded

        return Embedded()
    if chosen == "containers":  # imported only then: nobody else needs Docker's client
        from tests.infrastructure.containers import Containers

        return Containers()
    raise CannotRun(f"{VARIABLE}={chosen!r}: write embedded or containers.")
