"""What every search engine does for us, whichever it is."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from caravan_agents.tools.search.client import SearchClient, SearchFailed
from caravan_agents.tools.search.providers import ENGINES
from caravan_agents.tools.search.question import Location, Question

from tests.search.engines import KEY, Engine

ANN_ARBOR = Location("US", "Michigan", "Ann Arbor", "America/Detroit")


class Contract:
    """What the test of a provider inherits."""

    api = ""

    @pytest.fixture
    async def engine(self) -> AsyncIterator[Engine]:
        async with Engine(self.api).open() as made:
            yield made

    @pytest.fixture
    async def client(self, engine: Engine) -> AsyncIterator[SearchClient]:
        made = self.made(engine, KEY)
        yield made
        await made.close()

    def made(self, engine: Engine, key: str) -> SearchClient:
        return SearchClient(ENGINES[self.api].make(engine.url, key), 5.0)

    async def test_pages_are_found_with_title_text_and_date(self, client: SearchClient) -> None:
        found = await client.search(Question("camels", results=3))
        assert [result.url for result in found] == [
            "https://desert.example/camels",
            "https://maps.desert.example/routes?from=here",
            "https://shop.example/",
        ]
        assert found[0].title == "Camels & caravans"
        assert found[0].published == "2026-03-01" and found[1].published == ""
        assert found[1].text == "The salt route."

    async def test_the_number_and_the_size_of_results_are_bounded(self, client: SearchClient) -> None:
        found = await client.search(Question("camels", results=10, characters=50))
        assert len(found) == 10
        assert len(found[0].text) == 50

    async def test_only_allowed_domains_come_with_those_below_them(self, client: SearchClient) -> None:
        found = await client.search(Question("camels", allowed=("desert.example", "news.example")))
        assert [result.title for result in found] == ["Camels & caravans", "Routes", "Old news"]

    async def test_blocked_domains_do_not_come(self, client: SearchClient) -> None:
        found = await client.search(Question("camels", results=3, blocked=("desert.example",)))
        assert [result.title for result in found] == ["Shop", "Old news", "More 0"]

    async def test_nothing_found_is_no_failure(self, engine: Engine, client: SearchClient) -> None:
        engine.pages = []
        assert await client.search(Question("nothing")) == []

    @pytest.mark.parametrize("raw", [b"<html>", b"[]", b'"x"', b'{"results":[1],"web":{"results":[1]}}', b"null"])
    async def test_another_shape_is_a_failure(self, engine: Engine, client: SearchClient, raw: bytes) -> None:
        if raw == b'{"results":[1],"web":{"results":[1]}}' and self.api == "bing":
            raw = b'{"webPages":{"value":[1]}}'
        engine.raw = raw
        with pytest.raises(SearchFailed, match="another shape"):
            await client.search(Question("camels"))

    async def test_a_wrong_key_is_a_failure_that_does_not_show_it(self, engine: Engine) -> None:
        if self.api == "searxng":
            return
        client = self.made(engine, "another-key")
        with pytest.raises(SearchFailed, match="status 4") as caught:
            await client.search(Question("camels"))
        assert "another-key" not in str(caught.value) and "127.0.0.1" not in str(caught.value)
        await client.close()
        assert len(engine.asked) == 1


class TestBrave(Contract):
    api = "brave"

    async def test_a_place_is_said_in_headers(self, engine: Engine, client: SearchClient) -> None:
        await client.search(Question("weather", location=ANN_ARBOR))
        headers = engine.asked[0].headers
        assert (headers["X-Loc-Country"], headers["X-Loc-State-Name"]) == ("US", "Michigan")
        assert (headers["X-Loc-City"], headers["X-Loc-Timezone"]) == ("Ann Arbor", "America/Detroit")


class TestTavily(Contract):
    api = "tavily"

    async def test_a_country_is_said_by_its_name(self, engine: Engine, client: SearchClient) -> None:
        await client.search(Question("weather", location=ANN_ARBOR))
        await client.search(Question("weather", location=Location("LI")))
        assert engine.asked[0].body["country"] == "united states"
        assert "country" not in engine.asked[1].body

    async def test_long_texts_are_worth_a_deeper_search(self, engine: Engine, client: SearchClient) -> None:
        await client.search(Question("camels", characters=800))
        await client.search(Question("camels", characters=1600))
        assert [asked.body["search_depth"] for asked in engine.asked] == ["basic", "advanced"]


class TestExa(Contract):
    api = "exa"

    async def test_a_country_is_said(self, engine: Engine, client: SearchClient) -> None:
        await client.search(Question("weather", location=ANN_ARBOR))
        assert engine.asked[0].body["userLocation"] == "US"


class TestBing(Contract):
    api = "bing"

    async def test_a_country_is_said(self, engine: Engine, client: SearchClient) -> None:
        await client.search(Question("weather", location=ANN_ARBOR))
        assert engine.asked[0].query["cc"] == "US"


class TestSearXNG(Contract):
    api = "searxng"

    async def test_its_address_may_be_that_of_the_whole_site(self, engine: Engine) -> None:
        client = SearchClient(ENGINES["searxng"].make(engine.url.removesuffix("search"), ""), 5.0)
        assert len(await client.search(Question("camels", results=2))) == 2
        await client.close()


class TestCustom(Contract):
    api = "custom"

    async def test_all_wishes_are_passed_on(self, engine: Engine, client: SearchClient) -> None:
        await client.search(Question("weather", 3, 800, ("a.example",), ("b.example",), ANN_ARBOR))
        assert engine.asked[0].body == {
            "query": "weather",
            "max_results": 3,
            "max_characters": 800,
            "allowed_domains": ["a.example"],
            "blocked_domains": ["b.example"],
            "user_location": {
                "country": "US",
                "region": "Michigan",
                "city": "Ann Arbor",
                "timezone": "America/Detroit",
            },
        }
