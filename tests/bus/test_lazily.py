"""A module that is put off costs nothing, and is all there when it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "module", ["caravan_bus.nats", "caravan_registry.app", "caravan_files.app", "caravan_vector.app"]
)
def test_a_service_loads_neither_aiohttp_nor_the_web_server_that_faststream_looks_for(module: str) -> None:
    code = f"import sys, {module}; print([m for m in sys.modules if m.startswith(('aiohttp.', 'uvicorn.'))])"
    assert run(code) == "[]"


def test_what_faststream_looks_for_is_there_when_it_is_used() -> None:
    code = "import caravan_bus.control.broker; from faststream._internal._compat import uvicorn; print(uvicorn.Config)"
    assert run(code) == "<class 'uvicorn.config.Config'>"


@pytest.mark.parametrize(
    "use",
    [
        "import aiohttp; print(aiohttp.ClientSession.__name__)",
        "from aiohttp import ClientSession; print(ClientSession.__name__)",
        "import aiohttp.client; print(aiohttp.client.ClientSession.__name__)",
        "from aiohttp import web, client; print(client.ClientSession.__name__)",
        "from nats.aio import transport; print(transport.aiohttp.ClientSession.__name__)",
        "import inspect, aiohttp, sys; inspect.getmodule(inspect); print(aiohttp.ClientSession.__name__)",
    ],
)
def test_it_is_there_when_it_is_used(use: str) -> None:
    assert run(f"import caravan_bus.nats\n{use}") == "ClientSession"


def test_what_is_not_installed_or_loaded_already_stays_as_it_is() -> None:
    code = "import sys, json; from caravan_bus.lazily import lazily; lazily('json'); lazily('no_such_module_at_all'); "
    assert run(code + "print(sys.modules['json'] is json, 'no_such_module_at_all' in sys.modules)") == "True False"
