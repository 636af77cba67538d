"""What is wrong with what the caller saw, one sentence each; nothing = it passed."""

from __future__ import annotations

from collections.abc import Iterator

from caravan.failover_check.asking import Answer
from caravan.failover_check.attempts import Attempt
from caravan.failover_check.scripts import PROMPT_TOKENS, TEXT
from caravan.failover_check.trying import Count, Trial

SOON = 0.5
"""Seconds from a provider's first word to the caller, at most."""


def judge(trial: Trial, answer: Answer, attempts: list[Attempt], models: dict[str, str]) -> list[str]:
    """`attempts` are those of this trial; `models` are the ids of the targets, by provider."""
    return [
        *_in_time(trial, answer),
        *_counts(trial, attempts),
        *(_error(trial, answer) if trial.error is not None else _complete(trial, answer, attempts, models)),
        *(_while_it_streams(answer, attempts) if trial.stream else ()),
    ]


def _in_time(trial: Trial, answer: Answer) -> Iterator[str]:
    if answer.seconds > trial.within:
        yield f"it took {answer.seconds:.1f} s, more than {trial.within:.1f}"
    if answer.seconds < trial.not_before:
        yield f"it took {answer.seconds:.1f} s: the Retry-After was not waited for"


def _counts(trial: Trial, attempts: list[Attempt]) -> Iterator[str]:
    rows: tuple[tuple[str, Count], ...] = (("a", trial.primary_asked), ("b", trial.fallback_asked))
    for provider, (least, most) in rows:
        count = sum(attempt.provider == provider for attempt in attempts)
        if not least <= count <= most:
            wanted = str(least) if least == most else f"{least} to {most}"
            yield f"provider {provider} was asked {count} times, not {wanted}"


def _error(trial: Trial, answer: Answer) -> Iterator[str]:
    wanted = trial.error
    assert wanted is not None
    if answer.broken:
        yield f"the answer could not be read: {answer.broken}"
    if answer.error is None:
        yield f"no error was told, but HTTP {answer.status} with {len(answer.text)} characters"
        return
    if wanted.status and answer.status != wanted.status:
        yield f"HTTP {answer.status}, not {wanted.status}"
    if not wanted.status and answer.status != 200:
        yield f"HTTP {answer.status}: the stream should have begun"
    if wanted.code and answer.error.get("code") != wanted.code:
        yield f"the error's code is {answer.error.get('code')!r}, not {wanted.code!r}"
    if answer.done:
        yield "an answer that ended with an error has a [DONE]"
    if not TEXT.startswith(answer.text):
        yield "the words before the error are not those that were sent"


def _complete(trial: Trial, answer: Answer, attempts: list[Attempt], models: dict[str, str]) -> Iterator[str]:
    if answer.broken:
        yield f"the answer could not be read: {answer.broken}"
    if answer.status != 200 or answer.error is not None:
        message = str((answer.error or {}).get("message", ""))[:160]
        yield f"HTTP {answer.status} with an error: {message}"
        return
    if answer.text != TEXT:
        yield f"the text is another one: {_difference(answer.text)}"
    if answer.finish != "stop":
        yield f"the finish reason is {answer.finish!r}"
    if trial.stream and (answer.done != 1 or answer.after_done):
        yield f"{answer.done} [DONE]{', and something after it' if answer.after_done else ''}"
    if len(answer.ids) != 1:
        yield f"{len(answer.ids)} ids in one answer"
    if answer.model != models[trial.finisher]:
        yield f"the model is told as {answer.model!r}, not {models[trial.finisher]!r}"
    yield from _usage(trial, answer, any(attempt.prefilled for attempt in attempts))


def _usage(trial: Trial, answer: Answer, prefilled: bool) -> Iterator[str]:
    usage = answer.usage
    if usage is None:
        yield "no usage was told"
        return
    prompt, completion, total = (usage.get(f"{name}_tokens") for name in ("prompt", "completion", "total"))
    if completion != trial.tokens or total != (prompt or 0) + (completion or 0):
        yield f"usage does not add up: {prompt} + {completion} = {total}, with {trial.tokens} tokens in the answer"
    own = PROMPT_TOKENS[trial.finisher]
    if not (own <= (prompt or 0) if prefilled else prompt == own):
        yield f"the prompt's tokens are those of another provider: {prompt}"


def _while_it_streams(answer: Answer, attempts: list[Attempt]) -> Iterator[str]:
    """A gateway that holds an answer back until it is whole would pass all the rest."""
    spoke = next((attempt for attempt in attempts if attempt.first_sent), None)
    if spoke is None or not answer.first_word:
        return
    if answer.first_word >= spoke.last_sent:
        yield "the first word reached the caller only after the provider had sent its last"
    elif (late := answer.first_word - spoke.first_sent) > SOON:
        yield f"the first word reached the caller {late:.1f} s after it was sent"
    last = [attempt for attempt in attempts if attempt.first_sent][-1]
    if answer.error is None and not any(last.first_sent <= at < last.last_sent for at in answer.arrived):
        yield f"nothing of what provider {last.provider} sent reached the caller before all of it was sent"


def _difference(text: str) -> str:
    got, wanted = text.split(), TEXT.split()
    at = next(
        (n for n, (one, two) in enumerate(zip(got, wanted, strict=False)) if one != two), min(len(got), len(wanted))
    )
    return f"{len(got)} words instead of {len(wanted)}, alike up to word {at}"
