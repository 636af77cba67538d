"""The scripted upstream, with an id of its own for each answer."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from tests.upstream.scripted import ScriptedUpstream

_ID = b"chatcmpl-s"


class NumberedUpstream(ScriptedUpstream):
    def __init__(self) -> None:
        super().__init__()
        self._numbers = itertools.count(1)

    def _next(self) -> bytes:
        return b"chatcmpl-%d" % next(self._numbers)

    async def _whole(self, request: web.Request, body: Any, name: str, number: int) -> web.Response:
        made = await super()._whole(request, body, name, number)
        assert isinstance(made.body, bytes)
        made.body = made.body.replace(_ID, self._next())
        return made

    def _events(self, body: Any, name: str, number: int) -> Iterator[bytes]:
        mine = self._next()
        return (event.replace(_ID, mine) for event in super()._events(body, name, number))
