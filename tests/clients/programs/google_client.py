"""Google's own SDK, in front of the scripted upstream."""

from __future__ import annotations

import base64
import json
import sys

from google import genai
from google.genai import errors, types

client = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=sys.argv[1]))
models = client.models
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def agent() -> object:
    """The SDK's own loop: it calls the function, and tells its result."""
    config = types.GenerateContentConfig(tools=[weather], system_instruction="be brief")
    return models.generate_content(model="up/agent", contents='weather {"city":"Oslo"}', config=config).text


def told(ask: object) -> list[object]:
    try:
        for _ in ask() if callable(ask) else ():
            pass
    except errors.APIError as error:
        return [error.code, error.status]
    return []


def broken() -> list[object]:
    """What comes of a stream that breaks: its words, whether it ever ended well, and its error."""
    said, finished = [], False
    try:
        for piece in models.generate_content_stream(model="up/cut-3", contents="hello"):
            said.append(piece.text or "")
            finished = finished or bool((piece.candidates or [])[0].finish_reason)
    except errors.APIError as error:
        return ["".join(said), finished, error.status]
    return ["".join(said), finished]


whole = models.generate_content(model="up/plain", contents="hello")
usage = whole.usage_metadata
config = types.GenerateContentConfig(max_output_tokens=6, temperature=0.1, top_k=40, stop_sequences=["x"], seed=1)
stream = list(models.generate_content_stream(model="up/plain", contents="hello", config=config))
thoughts = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True))
thinking = list(models.generate_content_stream(model="up/thinking", contents="hello", config=thoughts))
schema = types.Schema(type=types.Type.OBJECT, properties={"city": types.Schema(type=types.Type.STRING)})
shaped = types.GenerateContentConfig(response_mime_type="application/json", response_schema=schema)
chat = client.chats.create(model="models/up/plain")
picture = [types.Part.from_bytes(data=PICTURE, mime_type="image/png"), "what is it?"]
vectors = models.embed_content(model="up/text-embed", contents=["a", "b"])
smaller = types.EmbedContentConfig(output_dimensionality=2)
single = models.embed_content(model="up/text-embed", contents="a", config=smaller)
listed = list(models.list(config={"page_size": 2}))
print(
    json.dumps(
        {
            "whole": [whole.text, whole.candidates[0].finish_reason, usage.prompt_token_count, usage.total_token_count],
            "a stream": ["".join(p.text or "" for p in stream), stream[-1].candidates[0].finish_reason],
            "its numbers": stream[-1].usage_metadata.candidates_token_count,
            "thinking": [p.text for r in thinking for p in r.candidates[0].content.parts if p.thought],
            "a short name": models.generate_content(model="llama3.2:3b", contents="hello").text,
            "a picture": models.generate_content(model="up/plain", contents=picture).text,
            "an object": models.generate_content(model="up/plain", contents="hello", config=shaped).text,
            "a chat": [chat.send_message("hello").text, chat.send_message("again").text, len(chat.get_history())],
            "a tool": agent(),
            "counted": models.count_tokens(model="up/plain", contents="hello you").total_tokens > 2,
            "vectors": [vector.values for vector in vectors.embeddings],
            "a vector": [vector.values for vector in single.embeddings],
            "vectors of nobody": told(lambda: models.embed_content(model="nobody", contents="a")),
            "vectors of a chat model": told(lambda: models.embed_content(model="up/plain", contents="a")),
            "models": sorted(model.name for model in listed),
            "one model": models.get(model="models/up/plain").supported_actions,
            "nobody": told(lambda: models.generate_content_stream(model="nobody", contents="hello")),
            "limited": told(lambda: models.generate_content_stream(model="up/status-429", contents="hello")),
            "a stream that breaks": broken(),
        }
    )
)
