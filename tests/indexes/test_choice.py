"""Indexes are opened by their names, and say what they can do."""

from __future__ import annotations

import sys

import pytest
from caravan_contracts.errors import InvalidRequest
from caravan_storage.postgres import Postgres, PostgresOptions
from caravan_vector.indexes import DEFAULT, KNOWN, Query, open_index
from caravan_vector.indexes.base import MODES, check

POSTGRES = Postgres(PostgresOptions("postgresql://nobody@127.0.0.1:1/none"))


def test_the_default_is_known() -> None:
    index = open_index(DEFAULT, POSTGRES)
    assert (index.name, index.modes) == (DEFAULT, KNOWN[DEFAULT])


def test_others_are_told_what_there_is() -> None:
    with pytest.raises(InvalidRequest, match="no index 'milvus'; there are pgvector, faiss, qdrant"):
        open_index("milvus", POSTGRES)


def test_one_that_is_not_installed_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    monkeypatch.delitem(sys.modules, "caravan_vector.indexes.faiss", raising=False)
    with pytest.raises(InvalidRequest, match=r"needs caravan-vector\[faiss\]"):
        open_index("faiss", POSTGRES)


def test_a_mode_that_an_index_lacks_is_refused_with_those_that_have_it() -> None:
    others = {"plain": frozenset({"vector"}), "pgvector": MODES}
    with pytest.raises(InvalidRequest, match=r"'plain' cannot search in mode 'keyword'; these can: pgvector") as caught:
        check(Query("keyword", text="x"), 3, "plain", frozenset({"vector"}), others)
    assert caught.value.status == 400
