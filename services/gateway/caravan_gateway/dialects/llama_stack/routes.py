"""Where this dialect answers."""

from __future__ import annotations

from fastapi import APIRouter

from caravan_gateway.asgi import App
from caravan_gateway.completions import CompletionRoute
from caravan_gateway.dialects.llama_stack import earlier, inspection, vector_dbs
from caravan_gateway.dialects.llama_stack.batch import BatchRoute
from caravan_gateway.dialects.llama_stack.chat import Chat
from caravan_gateway.dialects.llama_stack.embeddings import Embeddings
from caravan_gateway.dialects.llama_stack.generations import FIRST, SECOND, THIRD
from caravan_gateway.dialects.llama_stack.inspection import Document
from caravan_gateway.dialects.llama_stack.text import Text
from caravan_gateway.dialects.route import DialectRoute
from caravan_gateway.resources import Resources
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
RERANK = "/v1/inference/rerank"


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


def router(resources: Resources, document: Document, vectors: Vectors) -> APIRouter:
    """What does not ask models."""
    routes = APIRouter()
    routes.include_router(inspection.router(resources, document))
    routes.include_router(earlier.router(resources, document))
    routes.include_router(vector_dbs.router(resources, vectors))
    return routes
