"""Finding what expressions describe, in time that grows with the text alone, also in texts that have not ended yet.

- :mod:`expressions`: a regular expression as a tree of the few things that are allowed in one
- :mod:`nodes`: expressions as a nondeterministic automaton
- :mod:`states`: the same made deterministic while it runs
- :mod:`rules`: what is looked for
- :mod:`scanner`: where it is, and how much of an unfinished text is settled

Why not a library: docs/decisions/0024-shields.md.
"""
