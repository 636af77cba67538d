"""A GGUF model inside the worker's process: llama.cpp by way of the xllamacpp wheel.

A call goes through these rooms, in this order:

- :mod:`provider`: takes the call, writes the answer
- :mod:`request`: the client's JSON, checked
- :mod:`messages`: the conversation as the model's chat template takes it
- :mod:`tools`, :mod:`choosing`: which tools the model must, may or need not call, and the schema that holds it to that
- :mod:`engine`, :mod:`pieces`: the C++ server, bridged to asyncio
- :mod:`tool_reader`, :mod:`chat`, :mod:`text`: what the model wrote, as OpenAI's deltas
- :mod:`answers`: deltas as events of a stream or as one body

and :mod:`options`, :mod:`weights`, :mod:`signals` serve the start.
"""

from caravan_inference.providers.llama_cpp.provider import LlamaCpp

__all__ = ["LlamaCpp"]
