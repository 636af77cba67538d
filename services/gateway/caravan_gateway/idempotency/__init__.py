"""``Idempotency-Key``: the same request asked twice runs once.

- :mod:`claim`: what Redis knows of a run, and the errors a caller may get
- :mod:`store`: the claims and answers in Redis
- :mod:`run`: a run of this gateway; whoever asked for it only follows it
- :mod:`writing`: what of a run is written to Redis, and when
- :mod:`following`: following a run of this gateway
- :mod:`attached`: following a run of another gateway, or one that ended
- :mod:`desk`: who runs, who attaches
"""
