"""Ask models over Caravan's bus from Python: the resources of the official OpenAI client, without HTTP.

    from caravan_client import Caravan  # in an environment with the whole of Caravan: from caravan.client

    async with Caravan.connect() as client:
        answer = await client.chat.completions.create(model="…", messages=[…])

- :mod:`client`, :mod:`resources`, :mod:`responses`: what one calls
- :mod:`answers`, :mod:`response_answers`, :mod:`stream`: what one gets
- :mod:`errors`: the tree of the OpenAI client's errors
- :mod:`address`: where the bus is and who we are on it
- :mod:`line`, :mod:`inbox`, :mod:`asking`: one connection, its streams, one request
"""

from caravan_client.address import Address
from caravan_client.answers import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessage,
    ChatCompletionMessageToolCall,
    Completion,
    CompletionUsage,
    CreateEmbeddingResponse,
    Embedding,
    Model,
    ModelPage,
    Object,
    RerankResponse,
    RerankResult,
)
from caravan_client.client import Caravan
from caravan_client.errors import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    CaravanClientError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    UnprocessableEntityError,
)
from caravan_client.response_answers import (
    Response,
    ResponseItem,
    ResponseItemPage,
    ResponsePage,
    ResponsePart,
    ResponseStreamEvent,
    ResponseUsage,
)
from caravan_client.responses import ResponseStream
from caravan_client.safety import (
    ModerationCreateResponse,
    ModerationResult,
    RunShieldResponse,
    SafetyViolation,
    Shield,
    ShieldPage,
)
from caravan_client.stream import Stream

__all__ = [
    "APIConnectionError",
    "APIError",
    "APIStatusError",
    "APITimeoutError",
    "Address",
    "AuthenticationError",
    "BadRequestError",
    "Caravan",
    "CaravanClientError",
    "ChatCompletion",
    "ChatCompletionChunk",
    "ChatCompletionMessage",
    "ChatCompletionMessageToolCall",
    "Completion",
    "CompletionUsage",
    "ConflictError",
    "CreateEmbeddingResponse",
    "Embedding",
    "InternalServerError",
    "Model",
    "ModelPage",
    "ModerationCreateResponse",
    "ModerationResult",
    "NotFoundError",
    "Object",
    "PermissionDeniedError",
    "RateLimitError",
    "RerankResponse",
    "RerankResult",
    "Response",
    "ResponseItem",
    "ResponseItemPage",
    "ResponsePage",
    "ResponsePart",
    "ResponseStream",
    "ResponseStreamEvent",
    "ResponseUsage",
    "RunShieldResponse",
    "SafetyViolation",
    "Shield",
    "ShieldPage",
    "Stream",
    "UnprocessableEntityError",
]
