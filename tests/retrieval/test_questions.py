"""What is a question, and what answers it; the questions that come with Caravan can be answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from caravan.errors import StartError
from caravan.retrieval import builtin
from caravan.retrieval.questions import Passage, Question, read, read_file

PASSAGE = Passage("file-1", "camels.md", "Camels carry\n  salt over the desert.")


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ({"file_id": "file-1"}, True),
        ({"file_id": "file-2"}, False),
        ({"filename": "camels.md"}, True),
        ({"filename": "salt.md"}, False),
        ({"text": "carry salt"}, True),
        ({"text": "carry silk"}, False),
        ({"filename": "camels.md", "text": "carry silk"}, False),
        ({"file_id": "file-2", "text": "carry salt"}, False),
    ],
)
def test_all_that_is_said_of_the_answer_has_to_hold(answer: dict[str, str], right: bool) -> None:
    assert Question("What do camels do?", **answer).answered_by(PASSAGE) is right


def test_the_rank_is_that_of_the_first_passage_that_answers() -> None:
    other = Passage("file-2", "salt.md", "Salt is dear.")
    question = Question("Who carries salt?", text="carry salt")
    assert question.rank([other, PASSAGE, PASSAGE]) == 2
    assert question.rank([other]) is None
    assert question.rank([]) is None


def test_lines_are_read_and_empty_ones_passed_over(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"question": "Why?", "file_id": "f"},
        {"question": "Wo?", "text": "ä", "filename": "g"},
    ]
    path = tmp_path / "questions.jsonl"
    path.write_text("\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    assert read_file(path) == [Question("Why?", "f"), Question("Wo?", "", "g", "ä")]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "line 2 is no JSON"),
        ("[]", "line 2 should be a JSON object of texts"),
        ('{"question": "Why?", "text": 1}', "line 2 should be a JSON object of texts"),
        ('{"question": " ", "text": "x"}', "line 2 has no question"),
        ('{"question": "Why?"}', "line 2 does not say what the answer is"),
        ('{"question": "Why?", "file": "x"}', "line 2 has 'file'; there are question, file_id, filename, text"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(line: str, problem: str) -> None:
    with pytest.raises(StartError, match=problem):
        read(['{"question": "Why?", "text": "so"}', line], "some.jsonl")


def test_a_file_without_questions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="has no questions"):
        read(["", " "], "some.jsonl")
    with pytest.raises(StartError, match="cannot be read"):
        read_file(tmp_path / "none.jsonl")


def test_every_built_in_question_has_its_answer_in_a_document() -> None:
    documents = builtin.documents()
    assert len(documents) > 40 and sum(map(len, documents.values())) > 300_000
    passages = [Passage(name, name, text) for name, text in documents.items()]
    questions = builtin.questions()
    assert len({question.question for question in questions}) == len(questions) > 50
    assert [question for question in questions if question.rank(passages) is None] == []


def test_no_built_in_question_uses_the_words_of_its_answer() -> None:
    for question in builtin.questions():
        assert question.text not in question.question
