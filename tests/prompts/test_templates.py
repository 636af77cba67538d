"""What stands in a template, and what becomes of it."""

from __future__ import annotations

import pytest
from caravan_agents.prompts.templates import declared, render, variables_of
from caravan_contracts.errors import InvalidRequest
from hypothesis import given
from hypothesis import strategies as st

NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)


def test_variables_are_found_in_their_order() -> None:
    assert variables_of("{{b}} {{ a }} {{b}} {{\tc_1\n}}") == ["b", "a", "c_1"]
    assert variables_of("{a} {{}} {{a b}} {{a-b}} { {a} }") == []


def test_declared_variables_are_those_of_the_template() -> None:
    assert declared("{{a}} {{b}}", None) == ["a", "b"]
    assert declared("{{a}} {{b}}", ["b", "a"]) == ["a", "b"]
    with pytest.raises(InvalidRequest, match="uses 'b' that 'variables' does not name") as caught:
        declared("{{a}} {{b}}", ["a"])
    assert caught.value.param == "variables"
    with pytest.raises(InvalidRequest, match="names 'c', which the prompt does not use"):
        declared("{{a}}", ["a", "c"])
    with pytest.raises(InvalidRequest, match="256 variables"):
        declared(" ".join(f"{{{{v{n}}}}}" for n in range(257)), None)


def test_what_is_missing_or_unknown_is_named() -> None:
    with pytest.raises(InvalidRequest, match="needs 'a', 'b'") as caught:
        render("{{a}} {{b}} {{c}}", {"c": "x"})
    assert (caught.value.param, caught.value.code) == ("variables", "missing_variables")
    with pytest.raises(InvalidRequest, match="'z', which the prompt has no") as caught:
        render("{{a}}", {"a": "x", "z": "y"})
    assert caught.value.code == "unknown_variables"


def test_a_value_is_no_template() -> None:
    assert render("{{a}}/{{ b }}/{{a}}", {"a": "{{b}}", "b": r"\1 \g<0>"}) == r"{{b}}/\1 \g<0>/{{b}}"


@given(st.lists(st.tuples(st.text().filter(lambda text: "{" not in text and "}" not in text), NAMES)), st.text())
def test_each_name_becomes_its_value(parts: list[tuple[str, str]], value: str) -> None:
    template = "".join(f"{text}{{{{{name}}}}}" for text, name in parts)
    values = {name: f"<{name}{value}>" for _, name in parts}
    assert render(template, values) == "".join(text + values[name] for text, name in parts)
