"""The Docker engine: whether it answers, and whether it has the images."""

from __future__ import annotations

import os
import sys

import docker
from docker.errors import DockerException, ImageNotFound
from testcontainers.core.config import testcontainers_config
from testcontainers.core.docker_client import DockerClient

from tests.infrastructure.protocol import CannotRun

_SECONDS = 10
_PULL_SECONDS = 120
"""Without a byte of a download."""


def require(images: set[str]) -> None:
    """Pull those of `images` that are missing; raises :class:`CannotRun`.

    Done before the first test, since no test's time limit allows for a download.
    """
    client = _connect()
    try:
        for image in sorted(images | _reaper()):
            _have(client, testcontainers_config.hub_image_name_prefix + image)
    finally:
        client.close()


def _connect() -> docker.DockerClient:
    try:
        client = DockerClient(timeout=_SECONDS).client
        client.ping()
    except (DockerException, OSError) as error:
        where = os.environ.get("DOCKER_HOST") or "its usual socket"
        raise CannotRun(
            f"CARAVAN_TEST_INFRA=containers, but no Docker engine answers at {where} ({_first_line(error)}). "
            "Start Docker, or set DOCKER_HOST; or leave CARAVAN_TEST_INFRA out to use the embedded servers."
        ) from error
    return client


def _have(client: docker.DockerClient, image: str) -> None:
    try:
        client.images.get(image)
    except ImageNotFound:
        print(f"Pulling {image} ...", file=sys.stderr, flush=True)
        _pull(client, image)


def _pull(client: docker.DockerClient, image: str) -> None:
    client.api.timeout = _PULL_SECONDS
    try:
        for step in client.api.pull(image, stream=True, decode=True):
            if "error" in step:
                raise CannotRun(f"Docker cannot pull {image}: {step['error']}")
    except (DockerException, OSError) as error:
        raise CannotRun(f"Docker cannot pull {image}: {_first_line(error)}") from error


def _reaper() -> set[str]:
    """What removes the containers of tests that were killed."""
    return set() if testcontainers_config.ryuk_disabled else {testcontainers_config.ryuk_image}


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
