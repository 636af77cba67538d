"""What is particular about each OpenAI-compatible server. Data, not code: a new server is a new row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Preset:
    """Defaults of one kind of server; the stack file overrides any of them."""

    base_url: str = ""
    """Where its ``/chat/completions`` lies; "" = must be configured."""
    auth_header: str = "Authorization"
    """``Authorization`` carries ``Bearer <key>``, any other header the bare key."""
    key_needed: bool = True
    messages_key: str = ""
    """The header of the bare key at its Messages API, and for its list of models; "" = the same as everywhere."""
    list_path: str = "/models"
    usage_in_stream: bool = True
    """Whether it understands ``stream_options.include_usage``."""
    allow_unlisted: bool = False
    """Whether models exist that its ``/models`` does not list."""


PRESETS: Final[dict[str, Preset]] = {
    "openai": Preset("https://api.openai.com/v1"),
    "azure": Preset(auth_header="api-key", allow_unlisted=True),
    "vllm": Preset("http://localhost:8000/v1", key_needed=False),
    "ollama": Preset("http://localhost:11434/v1", key_needed=False),
    "tgi": Preset("http://localhost:8080/v1", key_needed=False),
    "llama.cpp": Preset("http://localhost:8080/v1", key_needed=False),
    "llama-cpp-server": Preset("http://localhost:8080/v1", key_needed=False),
    "lmstudio": Preset("http://localhost:1234/v1", key_needed=False),
    "together": Preset("https://api.together.xyz/v1"),
    "groq": Preset("https://api.groq.com/openai/v1"),
    "fireworks": Preset("https://api.fireworks.ai/inference/v1"),
    "deepseek": Preset("https://api.deepseek.com/v1"),
    "mistral": Preset("https://api.mistral.ai/v1", usage_in_stream=False),
    "sambanova": Preset("https://api.sambanova.ai/v1"),
    "cerebras": Preset("https://api.cerebras.ai/v1"),
    "nvidia": Preset("https://integrate.api.nvidia.com/v1"),
    "openrouter": Preset("https://openrouter.ai/api/v1"),
    "databricks": Preset(allow_unlisted=True),
    "gemini": Preset("https://generativelanguage.googleapis.com/v1beta/openai"),
    "anthropic": Preset("https://api.anthropic.com/v1", messages_key="x-api-key", list_path="/models?limit=1000"),
    "openai-compatible": Preset(key_needed=False),
    "passthrough": Preset(key_needed=False, allow_unlisted=True),
}
