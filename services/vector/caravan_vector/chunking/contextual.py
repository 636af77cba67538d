"""Chunks with a line of context before them: the question to a model, and what is made of its answer.

The scheme is Anthropic's "contextual retrieval" (2024). The asking itself is the pipeline's.
"""

from __future__ import annotations

DOCUMENT = "{{WHOLE_DOCUMENT}}"
CHUNK = "{{CHUNK_CONTENT}}"
PROMPT = f"""<document>
{DOCUMENT}
</document>
Here is the chunk we want to situate within the whole document:
<chunk>
{CHUNK}
</chunk>
Give a short, succinct context that situates this chunk within the whole document, to improve search retrieval of \
the chunk. Answer with the context alone."""
MOST_CONTEXT = 2000
"""Characters of a context that are kept."""


def prompt(template: str | None, document: str, chunk: str) -> str:
    """What a model is asked about one chunk. A template without a mark gets what it lacks after its own text.

    The document comes before the chunk, so that servers which remember the beginning of a prompt read it once.
    """
    text = template or PROMPT
    if DOCUMENT not in text and CHUNK not in text:
        text = f"{text}\n\n<document>\n{DOCUMENT}\n</document>\n\n<chunk>\n{CHUNK}\n</chunk>"
    elif CHUNK not in text:
        text = f"{text}\n\n<chunk>\n{CHUNK}\n</chunk>"
    # in one pass: a document may itself contain the mark of the chunk
    return "".join(document if part == DOCUMENT else chunk if part == CHUNK else part for part in _parts(text))


def join(context: str, chunk: str) -> str:
    """What is embedded and found: the context, an empty line, the chunk; the chunk alone when there is no context."""
    line = " ".join(context.split())[:MOST_CONTEXT].rstrip()
    return f"{line}\n\n{chunk}" if line else chunk


def _parts(template: str) -> list[str]:
    parts: list[str] = []
    for index, part in enumerate(template.split(DOCUMENT)):
        if index:
            parts.append(DOCUMENT)
        for number, inner in enumerate(part.split(CHUNK)):
            if number:
                parts.append(CHUNK)
            parts.append(inner)
    return parts
