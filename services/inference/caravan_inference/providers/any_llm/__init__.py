"""Every provider of any-llm: those that do not speak OpenAI's HTTP API (Bedrock, Vertex, watsonx, Cohere …), and the
native API of those that do.

The package ``any-llm-sdk`` is an extra and is imported when a provider of this kind is started, never before: it and
the SDK behind it cost seconds of CPU. A call goes through these rooms, in this order:

- :mod:`provider`: takes the call, writes the answer
- :mod:`request`: the client's JSON as any-llm's arguments
- :mod:`clients`: one SDK client for each key that callers bring
- :mod:`hints`: what an upstream does not take and need not
- :mod:`threads`: SDKs that block, off the event loop
- :mod:`events`, :mod:`bodies`: what comes back, as OpenAI's events or as one body
- :mod:`refusals`: its errors in our shape

and :mod:`names` and :mod:`options` serve the start.
"""

from caravan_inference.providers.any_llm.provider import AnyLLM

__all__ = ["AnyLLM"]
