"""Verbs that foreign bus users may ask for: who asks is said by the subject, which their credentials allow them."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import replace
from typing import Final

from caravan_contracts import subjects as s
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.errors import CaravanError, DeadlineExceeded, Overloaded
from pydantic import ValidationError

from caravan_bus.control.messages import invalid, refusal_headers
from caravan_bus.control.verbs import Verbs
from caravan_bus.transport import Message, Subscription, Transport, encode_headers

log = logging.getLogger(__name__)

_AT_ONCE: Final = 64
"""Requests under way, of all foreign users."""
_OF_ONE: Final = 16
"""Those of one of them."""
_LONGEST: Final = 60.0


class Entries:
    """One per process: one JSON request, one JSON reply or an error with the service error headers."""

    def __init__(self, transport: Transport, user: str, service: object, verbs: Verbs) -> None:
        """`user`: the service's own bus user, and the queue group of its processes."""
        self._transport = transport
        self._user = user
        self._service = service
        self._verbs = verbs
        self._subscriptions: list[Subscription] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._asking: Counter[str] = Counter()

    async def start(self) -> None:
        """Subscribe."""
        for verb in self._verbs:
            where = s.entry_wildcard(self._user, verb)
            self._subscriptions.append(await self._transport.subscribe(where, self._on_request, self._user))

    async def close(self, timeout: float = 5.0) -> None:
        """Take nothing new, answer what was taken within `timeout` seconds."""
        for subscription in self._subscriptions:
            await subscription.unsubscribe()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=timeout)
            for task in late:
                task.cancel()

    def _on_request(self, message: Message) -> None:
        tenant, user = s.entry_identity(message.subject)
        if s.owner_of(message.reply) != user:
            # answering would let one bus user write into the inbox of another
            log.warning("a request of bus user %s named an inbox that is not its own", user)
            return
        if len(self._tasks) >= _AT_ONCE or self._asking[user] >= _OF_ONE:
            self._refuse(message, Overloaded("too many requests are under way here", retry_after=1))
            return
        self._asking[user] += 1
        task = asyncio.create_task(self._serve(message, Principal(tenant, user, ("user",))))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._done(done, user))

    def _done(self, task: asyncio.Task[None], user: str) -> None:
        self._tasks.discard(task)
        self._asking[user] -= 1
        if not self._asking[user]:
            del self._asking[user]

    async def _serve(self, message: Message, principal: Principal) -> None:
        kind, call = self._verbs[message.subject.split(".")[3]]
        try:
            context = replace(RequestContext.from_headers(message.headers), principal=principal)
            async with asyncio.timeout(min(_LONGEST, max(0.0, context.remaining))):
                answer = await call(self._service, kind.model_validate_json(message.data), context)
        except TimeoutError:
            self._refuse(message, DeadlineExceeded("the request's time is over"))
        except ValidationError as error:
            self._refuse(message, invalid(error))
        except CaravanError as error:
            self._refuse(message, error)
        except Exception:
            log.exception("%s failed", message.subject)
            self._refuse(message, CaravanError("the request failed; the log of the service says why"))
        else:
            self._transport.publish(message.reply, answer.model_dump_json().encode())

    def _refuse(self, message: Message, error: CaravanError) -> None:
        self._transport.publish(message.reply, error.to_wire(), header_block=encode_headers(refusal_headers(error)))
