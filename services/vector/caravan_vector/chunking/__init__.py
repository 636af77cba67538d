"""Text to chunks: of at most so many tokens, overlapping, cut where a reader would.

- `strategy.py`: OpenAI's `chunking_strategy`; `chunker.py` `Chunker` makes the chunks, as the text comes.
- `atoms.py`: the units that are never cut; `graphemes.py`: where characters end; `tokens.py`: how tokens are counted.
- `contextual.py`: what is asked of a model, and what is made of its answer, when chunks get a line of context.
"""
