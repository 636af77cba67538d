"""What an agents worker does beside request and reply; light, so that a client may import it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

SERVICE: Final = "agents"


class ResponseVerb(StrEnum):
    """What is asked of responses."""

    RESPOND = "respond"
    """The body is that of POST /v1/responses; the answer its events, or the whole object. The header Caravan-Response
    names the response: asked again under the same name, with the number of events that arrived in Caravan-After, any
    worker goes on with it."""
    RECALL = "recall"
    """The body is a :class:`caravan_contracts.responses.Recall`; the answer one JSON object."""
    FOLLOW = "follow"
    """The body is a :class:`caravan_contracts.responses.Follow`; the answer events of a response that was made before,
    or is made elsewhere."""
