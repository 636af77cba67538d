"""What OCR found here and there, as lines."""

from __future__ import annotations

from caravan_vector.parsing.formats.ocr import Points, in_lines


def box(x: float, y: float, height: float = 20, slope: float = 0) -> Points:
    """200 wide; `slope` is how much lower its right side is."""
    return [(x, y), (x + 200, y + slope), (x + 200, y + slope + height), (x, y + height)]


def test_boxes_beside_each_other_are_one_line_from_left_to_right() -> None:
    found = [(box(300, 102), "right"), (box(10, 140), "below"), (box(10, 98), " left ")]
    assert in_lines(found) == ["left right", "below"]


def test_lines_that_nearly_touch_stay_apart() -> None:
    found = [(box(10, 20 * number), f"line {number}") for number in reversed(range(5))]
    assert in_lines(found) == [f"line {number}" for number in range(5)]


def test_small_print_beside_a_headline_is_a_line_of_its_own() -> None:
    assert in_lines([(box(10, 0, height=80), "BIG"), (box(300, 65, height=12), "small")]) == ["BIG", "small"]


def test_a_crooked_line() -> None:
    assert in_lines([(box(10, 100, slope=4), "one"), (box(220, 104, slope=4), "two")]) == ["one two"]


def test_nothing() -> None:
    assert in_lines([]) == []
