"""Prompts: templates with ``{{variables}}`` that are kept in versions, and the questions one may ask about them.

The shapes are those of Llama Stack and OGX, so that their clients find them.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, Field

from caravan_contracts.registry import Message

PAGE_BYTES: Final = 600 * 1024
"""Bytes of prompts in one reply; there is always room for one of them."""
LARGEST_PROMPT: Final = 192 * 1024
"""Bytes of one template at most, whatever the settings say."""
MAX_VARIABLES: Final = 256

Version = Annotated[int, Field(ge=1, le=2**31 - 1)]
Variables = Annotated[list[str], Field(max_length=MAX_VARIABLES)]


class CreatePrompt(Message):
    """A new prompt; its version is 1."""

    prompt: str
    variables: Variables | None = None
    """Those of the template, in any order; None = whichever it has."""


class GetPrompt(Message):
    """One version of a prompt; None = the default one."""

    id: str
    version: Version | None = None


class UpdatePrompt(Message):
    """A new version of a prompt."""

    id: str
    prompt: str
    version: Version
    """The newest one that the caller knows; another is a Conflict."""
    variables: Variables | None = None
    set_as_default: bool = True


class DeletePrompt(Message):
    """Forget it with all its versions."""

    id: str


class ListPrompts(Message):
    """The default version of every prompt, in the order of their creation."""

    after: str = ""
    """Id of the last one of the page before."""
    limit: int = Field(100, ge=1, le=100)


class ListPromptVersions(Message):
    """Every version of a prompt, the oldest first."""

    id: str
    after: int = Field(0, ge=0, le=2**31 - 1)
    """The last version of the page before."""
    limit: int = Field(100, ge=1, le=100)


class SetDefaultPromptVersion(Message):
    """Choose the version that is given to whoever names none."""

    id: str
    version: Version


class Prompt(BaseModel):
    """One version of a prompt."""

    prompt_id: str
    prompt: str
    version: int
    variables: list[str]
    is_default: bool


class PromptPage(BaseModel):
    """Some prompts. There may be fewer than were asked for although there are more: a reply has its bound."""

    data: list[Prompt]
    has_more: bool = False


class PromptDeleted(BaseModel):
    """What was forgotten."""

    id: str
