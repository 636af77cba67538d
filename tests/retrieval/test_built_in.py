"""The built-in evaluation, on a handful of passages: real chunks, a real index, the real model."""

from __future__ import annotations

from pathlib import Path

import pytest
from caravan_storage.postgres import Postgres, PostgresOptions
from caravan_vector.chunking.strategy import Sizes
from caravan_vector.indexes import open_index, prepare

from benchmarks import embedded, retrieval
from caravan.retrieval.questions import Question
from tests.infrastructure import choice

pytest.importorskip("onnxruntime", reason="needs caravan-inference[local]")
pytestmark = [pytest.mark.model]
DOCUMENTS = {
    "camels.txt": "Camels carry salt over the desert. A camel can go for many days without drinking.",
    "stars.txt": "At night the stars lead the caravan. The pole star stands always in the north.",
    "tea.txt": "Merchants drink sweet tea with mint. It is boiled three times in a small pot.",
}
QUESTIONS = [
    Question("Which animal survives thirst?", filename="camels.txt"),
    Question("Which star shows the direction?", text="pole star"),
    Question("How is tea made?", filename="tea.txt", text="boiled three times"),
    Question("Who was the first on the moon?", filename="moon.txt"),
]


async def test_every_way_finds_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(embedded, "BUILD", tmp_path / "build")
    async with choice.runtime().servers(tmp_path / "servers") as servers:
        postgres = Postgres(PostgresOptions(servers.database_url))
        await prepare(postgres)
        sizes = [Sizes(max_chunk_size_tokens=100, chunk_overlap_tokens=0)]
        outcomes = await retrieval.table(open_index("pgvector", postgres), sizes, DOCUMENTS, QUESTIONS)
        await postgres.close()
    assert [outcome.way for outcome in outcomes] == list(retrieval.WAYS)
    for outcome in outcomes:
        assert outcome.ranks[3] is None
        assert outcome.ranks[1:3] == (1, 1)
        assert outcome.ranks[0] == (None if outcome.way == "keyword" else 1), outcome.way
    printed = capsys.readouterr().out
    assert "| 100/0: 3 | vector | 0.75 | 0.75 | 0.75 | 0.75 | 0.75 |" in printed
