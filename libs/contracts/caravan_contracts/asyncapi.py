"""The AsyncAPI 3 document of the whole bus, made from the table of channels (``caravan bus asyncapi``)."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from caravan_contracts import VERSION, permissions
from caravan_contracts.channel import Channel, Pattern
from caravan_contracts.channels import CHANNELS
from caravan_contracts.users import USERS

_PARAMETER = re.compile(r"\{(\w+)\}")
_PARAMETERS = {
    "worker": "id of the worker, as in its presence",
    "stream": "id of the stream: the last two tokens of its reply inbox, joined by a dash",
    "tenant": "tenant of the foreign bus user",
    "user": "name of the foreign bus user",
    "job": "id of the job, as in its header Nats-Msg-Id",
    "part": "number of the part, from 0",
}
_PAYLOADS: dict[Pattern, str] = {
    Pattern.STREAM: "OpenAI's JSON body of the operation; bodies over 256 KiB are a claim (header Caravan-Claim)",
    Pattern.PLAIN: "OpenAI's JSON body of the operation, at most the server's max_payload",
    Pattern.CONTROL: "one byte of kind (1 ack, 2 resend, 3 cancel) and a 4-byte big-endian sequence number; "
    "a foreign user may send 4, a part of its request's body, numbered from 1, the bytes behind",
    Pattern.FACT: "JSON",
    Pattern.REQUEST: "JSON",
    Pattern.WORK: "bytes of the job; header Nats-Msg-Id is its id, and Caravan-Parts tells of a job that lies in parts",
}
_REPLIES: dict[Pattern, str] = {
    Pattern.STREAM: "frames: one byte of kind (1 accept, 2 busy, 3 data, 4 heartbeat, 5 error, 6 end), a 4-byte "
    "big-endian sequence number, a payload",
    Pattern.PLAIN: "SSE events or one JSON body, then an empty message without headers; an error is one message "
    "with the headers Nats-Service-Error-Code and Nats-Service-Error. With the request header Caravan-Window: frames, "
    "the first and every heartbeat with the stream's control subject as reply subject",
    Pattern.WORK: "JetStream's acknowledgement: the job is kept",
}


def _message(channel: Channel, model: type[BaseModel] | None, text: str, headers: bool) -> dict[str, Any]:
    made: dict[str, Any] = {"summary": text}
    if model is not None:
        made = {
            "name": model.__name__,
            "contentType": "application/json",
            "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
        }
    if headers:
        made["headers"] = {"$ref": "#/components/schemas/RequestHeaders"}
    return made


def document() -> dict[str, Any]:
    """The document as a dict, ready for JSON or YAML; the same input always gives the same text."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    models: dict[str, type[BaseModel]] = {}
    for channel in CHANNELS:
        key = channel.name.replace(".", "_").replace("-", "_")
        asks = channel.pattern is not Pattern.FACT and channel.pattern is not Pattern.CONTROL
        messages = {"request": _message(channel, channel.request, _PAYLOADS[channel.pattern], asks)}
        for model in (channel.request, channel.reply):
            if model is not None:
                models[model.__name__] = model
        channels[key] = {
            "address": channel.address,
            "summary": channel.summary,
            "parameters": {name: {"description": _PARAMETERS[name]} for name in _PARAMETER.findall(channel.address)},
            "messages": messages,
        }
        operation: dict[str, Any] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{key}"},
            "summary": channel.summary,
            "messages": [{"$ref": f"#/channels/{key}/messages/request"}],
            "x-publishers": list(channel.publishers)
            + (["any foreign user, under its own name"] if channel.foreign else []),
            "x-subscribers": list(channel.subscribers),
        }
        if channel.observers:
            operation["x-observers"] = list(channel.observers)
        if channel.queue:
            operation["bindings"] = {"nats": {"queue": channel.queue}}
        if asks:
            reply = f"{key}_reply"
            channels[reply] = {
                "address": None,
                "summary": f"replies of {channel.name}, at the request's own inbox",
                "messages": {
                    "reply": _message(
                        channel,
                        channel.reply,
                        _REPLIES.get(channel.pattern, "JSON"),
                        False,
                    )
                },
            }
            operation["reply"] = {
                "address": {"location": "$message.header#/reply"},
                "channel": {"$ref": f"#/channels/{reply}"},
            }
        operations[f"receive_{key}"] = operation
    ordered = sorted(models.values(), key=lambda model: model.__name__)
    _, schemas = models_json_schema(
        [(m, "validation") for m in ordered],
        ref_template="#/components/schemas/{model}",
    )
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Caravan's bus",
            "version": VERSION,
            "description": "Every subject of the mesh. Discovery ($SRV.PING, INFO, STATS) follows NATS ADR-32.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "nats": {
                "host": "localhost:4222",
                "protocol": "nats",
                "security": [{"$ref": "#/components/securitySchemes/nkey"}],
            }
        },
        "channels": channels,
        "operations": operations,
        "components": {
            "schemas": {
                **schemas.get("$defs", {}),
                "RequestHeaders": _request_headers(),
            },
            "securitySchemes": {
                "nkey": {
                    "type": "asymmetricEncryption",
                    "description": "an NKEY user per service",
                }
            },
        },
        "x-allow-lists": {
            user: {"publish": list(p.publish), "subscribe": list(p.subscribe)}
            for user, p in ((user, permissions.for_service(user)) for user in USERS)
        },
    }


def _request_headers() -> dict[str, Any]:
    from caravan_contracts import headers as h

    text = {"type": "string"}
    return {
        "type": "object",
        "properties": {
            h.REQUEST_ID: text,
            h.PRINCIPAL: {
                "type": "string",
                "description": "JSON {tenant, subject, roles}; from service users only",
            },
            h.DEADLINE_MS: {"type": "string", "description": "milliseconds left"},
            h.TRACEPARENT: text,
            h.TRACESTATE: text,
            h.IDEMPOTENCY_KEY: text,
            h.CONTENT_TYPE: text,
            h.CALL: {
                "type": "string",
                "description": "JSON [provider, model, shown model, stream, include usage]",
            },
            h.WINDOW: {
                "type": "string",
                "description": "bytes of credit; asks for frames. `; bundle` after it: the receiver reads bundles",
            },
            h.BODY_SIZE: {
                "type": "string",
                "description": "bytes of a body that follows in parts on the control subject; foreign users only",
            },
            h.RESPONSE: {
                "type": "string",
                "description": "id that a response gets; asked for again under it, any worker goes on with it",
            },
            h.AFTER: {
                "type": "string",
                "description": "how many events of it have arrived; from the second time on",
            },
            h.CLAIM: {
                "type": "string",
                "description": "JSON {ref, digest, size} of a body in the blob store",
            },
        },
    }
