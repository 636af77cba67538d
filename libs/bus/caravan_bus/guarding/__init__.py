"""Guardrails, enforced where inference is asked for.

- :mod:`policy`: which guardrails concern a request, and what they demand
- :mod:`ruling`: what verdicts mean to a rule: blocked, masked, settled
- :mod:`judging`: asking for verdicts, all rules at once, each within its time
- :mod:`checker`: who is asked; :mod:`audit`: who is told that nobody answered
- :mod:`texts`, :mod:`question`: what a request says, before and while its model is asked
- :mod:`gated`: an answer that waits for the verdict on its question
- :mod:`pieces`, :mod:`passage`, :mod:`output`: the texts of a stream, held back until they are settled
- :mod:`guarded`: the answer itself; :mod:`whole` for one that does not stream
- :mod:`guard`: all of it for one request

A process in which no guardrail exists makes none of this: :attr:`Catalog.guarded` is 0.
"""
