"""Every channel of the bus in one table: who publishes, who subscribes, what is said.

The NATS allow-lists (:mod:`permissions`) and the AsyncAPI document (:mod:`asyncapi`) are derived from it, so a
subject that is missing here cannot be used at all.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from pydantic import BaseModel

from caravan_contracts import completions as c
from caravan_contracts import files as f
from caravan_contracts import models as m
from caravan_contracts import registry as r
from caravan_contracts import routing as ro
from caravan_contracts import safety as sa
from caravan_contracts import subjects as s
from caravan_contracts import verbs
from caravan_contracts.channel import Channel, Pattern
from caravan_contracts.inference import MODELS, Verb
from caravan_contracts.response_operations import ResponseOperation, TokenCount
from caravan_contracts.responses import Follow, Recall, ResponseVerb
from caravan_contracts.users import (
    AGENTS,
    CALLERS,
    FILES,
    GATEWAY,
    GUARDED,
    INFERENCE,
    OPERATOR,
    RECORDER,
    REGISTRY,
    REPLAY,
    SAFETY,
    STREAMERS,
    VECTOR,
    WORKERS,
)
from caravan_contracts.work import QUEUES


def _inference() -> list[Channel]:
    rows = []
    for verb in Verb:
        json = f"{'Anthropic' if verb is Verb.MESSAGES else 'OpenAI'}'s JSON"
        rows.append(
            Channel(
                name=f"inference.{verb}.at",
                address=f"{s.PREFIX}.inference.at.{{worker}}.{verb}",
                pattern=Pattern.STREAM,
                publishers=CALLERS,
                subscribers=WORKERS,
                observers=(RECORDER,),
                summary=f"{verb} on one worker; the body is {json}, untouched; header Caravan-Call",
            )
        )
        rows.append(
            Channel(
                name=f"inference.{verb}.entry",
                address=f"{s.PREFIX}.inference.{verb}.{{tenant}}.{{user}}",
                pattern=Pattern.PLAIN,
                publishers=(OPERATOR,),
                subscribers=(INFERENCE,),
                foreign=True,
                queue=INFERENCE,
                summary=f"{verb} for any NATS client: {json} in, SSE events or one JSON body out; frames when "
                "the header Caravan-Window is there",
            )
        )
    rows.append(
        Channel(
            name="inference.models.entry",
            address=f"{s.PREFIX}.inference.{MODELS}.{{tenant}}.{{user}}",
            pattern=Pattern.PLAIN,
            publishers=(OPERATOR,),
            subscribers=(INFERENCE,),
            foreign=True,
            queue=INFERENCE,
            request=m.ModelsRequest,
            summary="the models that the caller's tenant may use, as GET /v1/models and /v1/models/{id} tell them",
        )
    )
    return rows


def _responses() -> list[Channel]:
    told = {
        ResponseVerb.RESPOND: "a response; the body is that of POST /v1/responses, untouched; header Caravan-Call",
        ResponseVerb.RECALL: "stored responses: one, many, what went into one, forget one, end one before its time",
        ResponseVerb.FOLLOW: "the events of a response that was made before, or is made elsewhere",
    }
    bodies: dict[ResponseVerb, type[BaseModel]] = {ResponseVerb.RECALL: Recall, ResponseVerb.FOLLOW: Follow}
    rows = [_operation(verb) for verb in ResponseOperation]
    for verb, summary in told.items():
        rows.append(
            Channel(
                name=f"agents.{verb}.at",
                address=s.at_template(AGENTS, verb),
                pattern=Pattern.STREAM,
                publishers=(GATEWAY, AGENTS),
                subscribers=(AGENTS,),
                summary=summary,
                request=bodies.get(verb),
            )
        )
        rows.append(
            Channel(
                name=f"agents.{verb}.entry",
                address=f"{s.request(AGENTS, verb)}.{{tenant}}.{{user}}",
                pattern=Pattern.PLAIN,
                publishers=(OPERATOR,),
                subscribers=(AGENTS,),
                foreign=True,
                queue=AGENTS,
                summary=f"{verb} for any NATS client: JSON in, SSE events or one JSON body out; frames when the header "
                "Caravan-Window is there",
                request=bodies.get(verb),
            )
        )
    return rows


_OPERATIONS: Final = {
    ResponseOperation.COUNT: "how many tokens an input has",
    ResponseOperation.COUNT_CHAT: "how many tokens a chat completion would be asked with",
    ResponseOperation.COMPACT: "the summary that stands for a conversation, encrypted",
}


def _operation(verb: ResponseOperation) -> Channel:
    counts = verb is not ResponseOperation.COMPACT
    return Channel(
        name=f"agents.{verb}.at",
        address=s.at_template(AGENTS, verb),
        pattern=Pattern.STREAM,
        publishers=(GATEWAY,),
        subscribers=(AGENTS,),
        summary=_OPERATIONS[verb],
        reply=TokenCount if counts else None,
    )


def _work() -> list[Channel]:
    rows = []
    for queue in QUEUES:
        jobs = Channel(
            name=f"work.{queue.name}",
            address=queue.subject,
            pattern=Pattern.WORK,
            publishers=queue.publishers,
            subscribers=(queue.worker,),
            summary=queue.summary,
        )
        rows.append(jobs)
        if queue.max_parts_bytes:
            parts = f"{queue.subject}.{{job}}.{{part}}"
            rows.append(replace(jobs, name=f"{jobs.name}.parts", address=parts, summary="parts of a large job"))
        dead = "jobs that nobody could do, for people to look at"
        rows.append(
            replace(
                jobs, name=f"dead.{queue.name}", address=queue.dead_subject, publishers=(queue.worker,), summary=dead
            )
        )
    return rows


CHANNELS: Final[tuple[Channel, ...]] = (
    *_inference(),
    verbs.row(
        "snapshot",
        CALLERS,
        r.SnapshotRequest,
        r.SnapshotPage,
        "every resource, page by page",
    ),
    verbs.row(
        "put",
        (GATEWAY, OPERATOR, REPLAY),
        r.PutResource,
        r.Changed,
        "create or replace a resource",
    ),
    verbs.row("delete", (GATEWAY, OPERATOR, REPLAY), r.DeleteResource, r.Changed, "remove a resource"),
    verbs.row(
        "report_models",
        WORKERS,
        r.ReportModels,
        r.ReportAccepted,
        "what a provider lists",
    ),
    verbs.agents("list_completions", c.ListCompletions, c.CompletionPage, "stored chat completions, page by page"),
    verbs.agents("get_completion", c.GetCompletion, c.CompletionRow, "one stored chat completion"),
    verbs.agents("update_completion", c.UpdateCompletion, c.CompletionRow, "replace its metadata"),
    verbs.agents("delete_completion", c.DeleteCompletion, c.CompletionDeleted, "forget it"),
    verbs.agents("list_completion_messages", c.ListCompletionMessages, c.CompletionPage, "the messages of its request"),
    verbs.agents(
        "read_completion_piece", c.ReadCompletionPiece, c.CompletionPiece, "bytes of what is too large for a reply"
    ),
    *verbs.conversations(),
    *verbs.prompts(),
    *verbs.files(),
    *verbs.vectors(),
    *verbs.safety(),
    *_responses(),
    *_work(),
    Channel(
        "control",
        f"{s.PREFIX}.ctl.{{worker}}.{{stream}}",
        Pattern.CONTROL,
        CALLERS,
        STREAMERS,
        "acknowledge, resend and cancel of one stream: kind and sequence number, 5 bytes",
    ),
    Channel(
        "control.foreign",
        f"{s.PREFIX}.ctl.{{worker}}.{{stream}}.{{tenant}}.{{user}}",
        Pattern.CONTROL,
        (OPERATOR,),
        (INFERENCE, AGENTS),
        "the same for a stream of a foreign bus user; each frame that asks for it names it as its reply subject",
        foreign=True,
    ),
    Channel(
        "worker.presence",
        s.PRESENCE,
        Pattern.FACT,
        STREAMERS,
        CALLERS,
        "a worker's providers, slots and state, four times a second",
    ),
    Channel(
        "worker.presence-wanted",
        s.PRESENCE_WANTED,
        Pattern.FACT,
        CALLERS,
        STREAMERS,
        "somebody new asks every worker to say who it is",
    ),
    Channel(
        "agents.cancelled",
        s.RUN_CANCELLED,
        Pattern.FACT,
        (AGENTS,),
        (AGENTS,),
        "a response in the background is to end before its time: JSON [tenant, id]",
    ),
    Channel(
        "files.removed",
        s.FILE_REMOVED,
        Pattern.FACT,
        (FILES,),
        (VECTOR,),
        "files that are there no more: said once, and looked for again by whoever may have missed it",
        request=f.FilesRemoved,
        queue=VECTOR,
    ),
    Channel(
        "safety.verdict",
        s.SAFETY_VERDICT,
        Pattern.FACT,
        (*GUARDED, SAFETY),
        (OPERATOR,),
        "what a shield said of a part of a request, or that it said nothing; never the text",
        request=sa.VerdictFact,
    ),
    Channel(
        "registry.changed",
        s.REGISTRY_CHANGED,
        Pattern.FACT,
        (REGISTRY,),
        CALLERS,
        "resources that changed, published after the commit",
        request=r.ChangeFact,
    ),
    Channel(
        "registry.revision",
        s.REGISTRY_REVISION,
        Pattern.FACT,
        (REGISTRY,),
        CALLERS,
        "the registry's revision, once a second",
        request=r.RevisionBeat,
    ),
    Channel(
        "routing.target",
        s.ROUTING_TARGET,
        Pattern.FACT,
        CALLERS,
        CALLERS,
        "a target that is to be left alone, or is back: every process that asks acts alike",
        request=ro.TargetFact,
    ),
    Channel(
        "routing.load",
        s.ROUTING_LOAD,
        Pattern.FACT,
        CALLERS,
        CALLERS,
        "what a process has under way at targets with limits",
        request=ro.LoadFact,
    ),
    Channel(
        "routing.line",
        s.ROUTING_LINE,
        Pattern.FACT,
        CALLERS,
        CALLERS,
        "for which providers requests wait at a process, so that freed slots are shared",
        request=ro.LineFact,
    ),
)
