"""Where a stack comes from: a file, or one that is ready-made."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Final

from caravan_registry.stack.problems import Problem, StackError

READY_MADE: Final = ("starter", "openai", "ollama", "vllm")
DEFAULT: Final = "starter"


def read_text(path_or_name: str | Path | None) -> tuple[str, str]:
    """``(source, text)``: a file's path and text, or a name of READY_MADE and its text. Raises StackError."""
    asked = str(path_or_name) if path_or_name else DEFAULT
    path = Path(asked).expanduser()
    if asked in READY_MADE and not path.is_file():
        return asked, (resources.files("caravan_registry.stack") / "ready" / f"{asked}.yaml").read_text("utf-8")
    try:
        return asked, path.read_text("utf-8-sig")
    except FileNotFoundError as error:
        message = f"there is no such file; ready-made stacks are {', '.join(READY_MADE)}"
        raise StackError(asked, [Problem(0, 0, message)]) from error
    except OSError as error:
        raise StackError(asked, [Problem(0, 0, f"the file cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise StackError(asked, [Problem(0, 0, f"the file is not UTF-8 (byte {error.start})")]) from error
