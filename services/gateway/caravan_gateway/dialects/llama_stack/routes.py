"""Where this dialect answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from caravan_contracts.inference import Verb
from fastapi import APIRouter

from caravan_gateway import rerank_alpha
from caravan_gateway.asgi import App
from caravan_gateway.completions import CompletionRoute
from caravan_gateway.dialects.llama_stack import documented, earlier, inspection, shields, vector_dbs
from caravan_gateway.dialects.llama_stack.batch import BatchRoute
from caravan_gateway.dialects.llama_stack.chat import Chat
from caravan_gateway.dialects.llama_stack.embeddings import Embeddings
from caravan_gateway.dialects.llama_stack.end_mark import OpenAIRoute
from caravan_gateway.dialects.llama_stack.generations import FIRST, SECOND, THIRD
from caravan_gateway.dialects.llama_stack.inspection import Document
from caravan_gateway.dialects.llama_stack.text import Text
from caravan_gateway.dialects.route import DialectRoute
from caravan_gateway.resources import Resources
from caravan_gateway.safety import judging
from caravan_gateway.safety.asking import Safety
from caravan_gateway.vectors.asking import Vectors

_PATHS = {
    FIRST: ("/inference/chat_completion", "/inference/completion", "/inference/embeddings"),
    SECOND: ("/alpha/inference/chat-completion", "/alpha/inference/completion", "/alpha/inference/embeddings"),
    THIRD: ("/v1/inference/chat-completion", "/v1/inference/completion", "/v1/inference/embeddings"),
}
_BATCHES = (
    (FIRST, "/batch_inference/chat_completion", "/batch_inference/completion"),
    (SECOND, "/alpha/batch-inference/chat-completion", "/alpha/batch-inference/completion"),
    (THIRD, "/v1/batch-inference/chat-completion", "/v1/batch-inference/completion"),
    (THIRD, "/v1/inference/batch-chat-completion", "/v1/inference/batch-completion"),
)
RERANK: Final = "/v1/inference/rerank"
LARGER: Final = dict.fromkeys(shields.RUN, judging.MAX_BODY)
"""Bytes of a body, of paths where FastAPI may read more than elsewhere."""


def hot_routes(like: CompletionRoute, rerank: App) -> dict[str, App]:
    """Those that ask models, by path; `rerank` is the route of ``/v1alpha/inference/rerank``."""
    made: dict[str, App] = {RERANK: rerank}
    for generation, (chat, text, embeddings) in _PATHS.items():
        made[chat] = DialectRoute(Chat(generation), chat, like)
        made[text] = DialectRoute(Text(generation), text, like)
        made[embeddings] = DialectRoute(Embeddings(generation), embeddings, like)
    for generation, chat, text in _BATCHES:
        made[chat] = BatchRoute(Chat(generation), "messages", "messages_batch", chat, like)
        made[text] = BatchRoute(Text(generation), "content", "content_batch", text, like)
    return made


def openai_routes(verbs: Mapping[str, Verb], like: CompletionRoute) -> dict[str, App]:
    """OpenAI's own, by path, for which generations 4 and 5 ask; `verbs` has the same paths."""
    return {path: OpenAIRoute(verb, path, *like.parts) for path, verb in verbs.items()}


def document() -> dict[str, Any]:
    """Their part of the OpenAPI document."""
    made: dict[str, Any] = {}
    posted = documented.posted
    for generation, (chat, text, embeddings) in _PATHS.items():
        model = generation.model_field
        made[chat] = posted(chat, "A chat, streamed or whole", model, "messages", streams=True)
        made[text] = posted(text, "A text, streamed or whole", model, "content", streams=True)
        made[embeddings] = posted(embeddings, "Embeddings", model, "contents", streams=False)
    for generation, chat, text in _BATCHES:
        model = generation.model_field
        made[chat] = posted(chat, "Chats, answered together", model, "messages_batch", streams=False)
        made[text] = posted(text, "Texts, answered together", model, "content_batch", streams=False)
    return {**made, RERANK: rerank_alpha.described("llama_stack_inference_rerank")}


def router(resources: Resources, document: Document, vectors: Vectors, safety: Safety) -> APIRouter:
    """What does not ask models."""
    routes = APIRouter()
    routes.include_router(inspection.router(resources, document))
    routes.include_router(earlier.router(resources, document))
    routes.include_router(shields.router(resources, safety))
    routes.include_router(vector_dbs.router(resources, vectors))
    return routes
