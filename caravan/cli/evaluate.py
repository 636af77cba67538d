"""``caravan eval``: how well what is running answers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caravan.cli.options import DataDirOption, JsonOption, UrlOption

if TYPE_CHECKING:
    from caravan.retrieval.evaluation import Outcome

app = typer.Typer(help="Measure how well what is running answers.", no_args_is_help=True)


@app.callback()
def evaluations() -> None:
    """Measure how well what is running answers."""


@app.command()
def retrieval(
    store: Annotated[str, typer.Option(metavar="ID", help="The vector store, as in vs_….")],
    questions: Annotated[
        Path,
        typer.Option(metavar="FILE", help='Lines of {"question": …} with what answers it: file_id, filename, text.'),
    ],
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="SEARCH", help="This way alone; may be repeated.")
    ] = None,
    rerank: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Search hybrid with this reranker, too.", show_default="none")
    ] = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a vector store questions whose answers are known, in each way of searching, and count what was found."""
    from caravan.cli import console
    from caravan.cli.gateway import Gateway
    from caravan.errors import StartError
    from caravan.retrieval import ways
    from caravan.retrieval.questions import read_file
    from caravan.retrieval.stores import SearchedStore

    chosen = ways.with_reranker(rerank) if rerank else ways.WAYS
    if unknown := sorted(set(only or ()) - set(chosen)):
        raise StartError(f"There is no search {unknown[0]!r}. There are: {'; '.join(chosen)}.")
    asked = read_file(questions)
    gateway = Gateway.find(url, data_dir)
    searched = SearchedStore(gateway, store)
    searched.check()
    outcomes = []
    for way, options in chosen.items():
        if not only or way in only:
            console.err().print(f"{way}: {len(asked)} questions", markup=False)
            outcomes.append(asyncio.run(searched.evaluate(way, options, asked)))
    if as_json:
        report = {"url": gateway.url, "store": store, "searches": [outcome.to_dict() for outcome in outcomes]}
        typer.echo(json.dumps(report, indent=2))
    else:
        _show(outcomes)


def _show(outcomes: list[Outcome]) -> None:
    from caravan.cli import console

    shown = console.table("search", "recall@1", "recall@5", "recall@10", "nDCG@10", "ms")
    for outcome in outcomes:
        row = outcome.to_dict()
        numbers = [f"{row[name]:.3f}" for name in ("recall@1", "recall@5", "recall@10", "ndcg@10")]
        shown.add_row(outcome.way, *numbers, f"{outcome.milliseconds:.0f}")
    console.out().print(shown)
