"""Lines of context for chunks, written by a model: what `contextual` chunking asks for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from caravan_bus.pauses import pauses
from caravan_contracts.context import Principal
from caravan_contracts.errors import CaravanError

from caravan_vector.chunking.chunker import Chunk
from caravan_vector.chunking.contextual import join, prompt
from caravan_vector.chunking.strategy import ContextualSizes
from caravan_vector.ingest.spool import Spool
from caravan_vector.models.writing import Writer
from caravan_vector.together import together

log = logging.getLogger(__name__)

WINDOW: Final = 100_000
"""Characters of a document that a model sees: all of a smaller one, otherwise those around the chunk."""
_LONGEST_PAUSE: Final = 60.0


class Contexts:
    """Of one document."""

    def __init__(
        self, writer: Writer, model: str, sizes: ContextualSizes, spool: Spool, principal: Principal, name: str
    ) -> None:
        self._writer = writer
        self._model = model
        self._sizes = sizes
        self._spool = spool
        self._principal = principal
        self._name = name
        self._free = asyncio.Semaphore(sizes.concurrency)

    async def texts(self, chunks: Sequence[Chunk]) -> list[str]:
        """What is to be embedded and found of each chunk. Raises what the model's last failure was."""
        return await together([self._text(chunk) for chunk in chunks])

    async def _text(self, chunk: Chunk) -> str:
        async with self._free:
            document = await self._spool.around((chunk.start + chunk.end) // 2, WINDOW)
            question = prompt(self._sizes.context_prompt, document, chunk.text)
            return join(await self._asked(question), chunk.text)

    async def _asked(self, question: str) -> str:
        messages = [{"role": "user", "content": question}]
        tried = 0
        for pause in pauses(0.5, 10.0):
            try:
                return await self._writer.write(self._model, messages, self._principal, self._name, self._sizes.timeout)
            except CaravanError as error:
                tried += 1
                if tried > self._sizes.retries or error.status in (400, 401, 403, 404):
                    raise
                log.info("the context of a chunk is asked for again: %s", error.message)
                wished = min(error.retry_after or 0.0, _LONGEST_PAUSE)
            await asyncio.sleep(max(pause, wished))
        raise AssertionError("pauses never end")
