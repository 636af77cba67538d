"""The users of the bus, and which of them belong together."""

from __future__ import annotations

from typing import Final

from caravan_contracts import files as f
from caravan_contracts import response_verbs as responses
from caravan_contracts import safety
from caravan_contracts import vectors as v

GATEWAY: Final = "gateway"
REGISTRY: Final = "registry"
INFERENCE: Final = "inference"
AGENTS: Final = responses.SERVICE
"""Makes responses, and keeps what was said with models and what is said to them."""
FILES: Final = f.SERVICE
"""Knows what clients have uploaded."""
VECTOR: Final = v.SERVICE
"""Reads files into vector stores, and finds what is in them."""
SAFETY: Final = safety.SERVICE
"""Judges texts by shields, and keeps what was said of them."""
OPERATOR: Final = "operator"
"""The bus user of the command: looks, and asks as an administrator."""
RECORDER: Final = "recorder"
"""Listens to requests and answers of others (``caravan record``); says nothing."""
REPLAY: Final = "replay"
"""Answers as a provider from recordings, or asks what was recorded again (``caravan replay``)."""
SERVICES: Final = (GATEWAY, REGISTRY, INFERENCE, AGENTS, FILES, VECTOR, SAFETY)
USERS: Final = (*SERVICES, OPERATOR, RECORDER, REPLAY)


CALLERS: Final = (GATEWAY, INFERENCE, AGENTS, VECTOR, SAFETY, OPERATOR, REPLAY)
"""Who may ask for inference with a principal of its choice."""
GUARDED: Final = (GATEWAY, INFERENCE, AGENTS, VECTOR)
"""Who enforces guardrails on what it asks of models."""
WORKERS: Final = (INFERENCE, REPLAY)
"""Who may serve a provider."""
READERS: Final = (GATEWAY, AGENTS, VECTOR)
"""Who may read the bytes of files."""
STREAMERS: Final = (*WORKERS, AGENTS)
"""Who answers in streams of frames, and says how many slots it has for that."""
