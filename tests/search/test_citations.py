"""Where a text cites what was found."""

from __future__ import annotations

import time

from caravan_agents.tools.search.citations import Citations
from caravan_agents.tools.search.question import Result
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses.response_output_text import AnnotationURLCitation

CAMELS = Result("Camels", "https://desert.example/camels", "x")
ROUTES = Result("Routes", "https://maps.example/a_(b)?from=1&to=2", "x")


def citations() -> Citations:
    made = Citations()
    assert made.add([CAMELS, ROUTES]) == [1, 2]
    return made


def cited(text: str, known: Citations | None = None) -> list[tuple[str, str]]:
    """What the annotations of `text` cover, and which page each is."""
    found = (known or citations()).annotate(text)
    for annotation in found:
        AnnotationURLCitation.model_validate(annotation, strict=True)
    return [(text[one["start_index"] : one["end_index"]], one["url"]) for one in found]


def test_markdown_links() -> None:
    link = "[the camels [sic]](https://desert.example/camels)"
    assert cited(f"Forty ({link}).") == [(link, CAMELS.url)]
    titled = f'[routes]({ROUTES.url} "A title")'
    assert cited(f"\U0001f42a {titled} and {link}") == [(titled, ROUTES.url), (link, CAMELS.url)]


def test_places_count_characters_not_bytes() -> None:
    text = "Kamele – 🐪🐪 [é](https://desert.example/camels)"
    (annotation,) = citations().annotate(text)
    assert annotation == {
        "type": "url_citation",
        "start_index": text.index("["),
        "end_index": len(text),
        "url": CAMELS.url,
        "title": "Camels",
    }


def test_bare_addresses_end_before_the_sentence_does() -> None:
    assert cited("See https://desert.example/camels.") == [(CAMELS.url, CAMELS.url)]
    assert cited(f"(see {ROUTES.url}), <{CAMELS.url}>") == [(ROUTES.url, ROUTES.url), (CAMELS.url, CAMELS.url)]
    assert cited("http://DESERT.example/camels/#top") == [("http://DESERT.example/camels/#top", CAMELS.url)]


def test_numbers() -> None:
    assert cited("Forty camels [1], by two routes[2].") == [("[1]", CAMELS.url), ("[2]", ROUTES.url)]
    assert cited("Both [1, 2][1]") == [("[1, 2]", CAMELS.url), ("[1, 2]", ROUTES.url), ("[1]", CAMELS.url)]
    assert cited("As said【1†source】") == [("【1†source】", CAMELS.url)]


def test_what_was_not_found_and_what_stands_in_code_is_no_citation() -> None:
    assert cited("[3] [0] [x](https://other.example/) https://other.example [1](https://other.example)") == []
    assert cited("`rows[1]` and\n```\nrows[2] # https://desert.example/camels\n``` but [2]") == [("[2]", ROUTES.url)]
    assert Citations().annotate("[1] https://desert.example/camels") == []


def test_a_page_keeps_its_number_over_several_searches() -> None:
    made = citations()
    assert made.add([ROUTES, Result("New", "https://new.example/", "x")]) == [2, 3]
    assert cited("[3]", made) == [("[3]", "https://new.example/")]


def test_what_earlier_searches_found_is_known_from_their_items() -> None:
    made = Citations()
    rows = [{"n": 4, "title": "Camels", "url": CAMELS.url, "text": "x"}, {"note": "x"}, "x"]
    made.learn([{"type": "web_search_call", "results": rows}, {"type": "message"}, {"type": "web_search_call"}])
    assert cited("[4]", made) == [("[4]", CAMELS.url)]
    assert made.add([ROUTES]) == [5]


def test_a_number_that_two_pages_have_is_no_citation_but_their_addresses_are() -> None:
    made = citations()
    made.learn([{"type": "web_search_call", "results": [{"n": 1, "title": "N", "url": "https://new.example/"}]}])
    assert cited("[1] [n](https://new.example/) [2]", made) == [
        ("[n](https://new.example/)", "https://new.example/"),
        ("[2]", ROUTES.url),
    ]


@given(st.text(alphabet="[]()`1, 【】†.ab🐪\n" + CAMELS.url) | st.lists(
    st.sampled_from(["[1]", "[x](", CAMELS.url, ")", "`", "```", " ", "[", "]", "é🐪"])
).map("".join))  # fmt: skip
def test_whatever_the_text_its_annotations_lie_in_it(text: str) -> None:
    found = citations().annotate(text)
    places = [(one["start_index"], one["end_index"]) for one in found]
    assert places == sorted(places)
    assert all(0 <= start < end <= len(text) for start, end in places)


def test_a_long_text_takes_no_time() -> None:
    made = citations()
    for text in ("[" * 100_000, "[a](" * 50_000, "`" * 100_000, "https://" * 20_000, "[1" * 100_000, "(" * 100_000):
        began = time.process_time()
        made.annotate(text)
        assert time.process_time() - began < 1.0, text[:10]
    assert len(made.annotate("[1] " * 2000)) == 500
