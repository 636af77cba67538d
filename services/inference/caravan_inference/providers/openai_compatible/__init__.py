"""Any server that speaks OpenAI's HTTP API: bytes in, bytes out.

- :mod:`provider`: the calls
- :mod:`events`: what is changed in a stream on its way, and how its end is known
- :mod:`messages`: Anthropic's Messages API at servers that have it, passed on
- :mod:`refusals`: an upstream's errors in our shape
- :mod:`rerank`: rerank endpoints, of which there are several kinds
- :mod:`presets`: what is particular about each known server, as data
- :mod:`options`: its configuration
"""

from caravan_inference.providers.openai_compatible.provider import OpenAICompatible

__all__ = ["OpenAICompatible"]
