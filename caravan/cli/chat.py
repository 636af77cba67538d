"""``caravan chat``."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Annotated, Any

import typer

from caravan.cli import choosing
from caravan.cli.gateway import Gateway, GatewayError
from caravan.cli.options import DataDirOption, UrlOption

_HELP = "/model NAME  another model    /reset  forget the conversation    /exit  leave (also Ctrl-D)"


def chat(
    question: Annotated[str | None, typer.Argument(help="Ask this, print the answer and leave.")] = None,
    model: Annotated[str | None, typer.Option(show_default="the first chat model")] = None,
    system: Annotated[str | None, typer.Option(help="What the model is told first.")] = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Talk to a model, the answer appearing as it is made. Ctrl-C stops the answer, not the talk.

    Reads one question from stdin when that is no terminal: `git diff | caravan chat`.
    """
    gateway = Gateway.find(url, data_dir)
    talk = Conversation(gateway, model or choosing.first_model(gateway), system)
    if question is None and not sys.stdin.isatty():
        question = sys.stdin.read()
    if question is not None:
        if not question.strip():
            raise typer.BadParameter("the question is empty")
        talk.ask(question)
        return
    _loop(talk)


class Conversation:
    """The messages so far. A question whose answer failed is forgotten; one that was stopped is kept as it stands."""

    def __init__(self, gateway: Gateway, model: str, system: str | None) -> None:
        self.model = model
        self._gateway = gateway
        self._system = [{"role": "system", "content": system}] if system else []
        self._messages: list[dict[str, Any]] = []

    def reset(self) -> None:
        """Forget everything but the system message."""
        self._messages = []

    def ask(self, question: str) -> None:
        """Send it and print the answer as it comes; raises :class:`GatewayError`, KeyboardInterrupt."""
        messages = [*self._messages, {"role": "user", "content": question}]
        body = {"model": self.model, "stream": True, "messages": self._system + messages}
        said: list[str] = []
        try:
            with closing(self._gateway.stream("/v1/chat/completions", body)) as events:
                for event in events:
                    for choice in event.get("choices", ()):
                        if text := choice.get("delta", {}).get("content"):
                            said.append(text)
                            typer.echo(text, nl=False)
        finally:
            if said:
                typer.echo()
                self._messages = [*messages, {"role": "assistant", "content": "".join(said)}]


def _loop(talk: Conversation) -> None:
    try:
        import readline  # noqa: F401 - its import gives input() a line editor
    except ImportError:
        pass  # not built into every Python; plain input then
    typer.secho(f"{talk.model}   ({_HELP})", dim=True)
    while True:
        try:
            line = input("> ").strip()
        except EOFError:
            typer.echo()
            return
        except KeyboardInterrupt:
            typer.echo()
            continue
        try:
            if line and _command(talk, line):
                return
        except KeyboardInterrupt:
            typer.secho("(stopped)", dim=True)
        except GatewayError as error:
            typer.secho(str(error), fg="red", err=True)


def _command(talk: Conversation, line: str) -> bool:
    """Do what the line says; whether that was to leave."""
    word, _, rest = line.partition(" ")
    if word in ("/exit", "/quit"):
        return True
    if word == "/reset":
        talk.reset()
        typer.secho("(forgotten)", dim=True)
    elif word == "/model" and rest.strip():
        talk.model = rest.strip()
        typer.secho(f"({talk.model})", dim=True)
    elif word.startswith("/"):
        typer.secho(_HELP, dim=True)
    else:
        talk.ask(line)
    return False
