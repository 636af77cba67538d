"""``caravan failover-check``: sixteen ways in which a provider fails, tried against a mesh that runs.

- :mod:`scripts`, :mod:`provider`: a provider that fails as it is told, and notes who asked and when
- :mod:`cases`: the sixteen, each with what the caller has to see
- :mod:`asking`, :mod:`judging`: the caller, and what is wrong with what it saw
- :mod:`outage`: the one that takes time
- :mod:`registering`, :mod:`run`: providers and routes for the time of the check, and all of it together

docs/failover.md explains it.
"""
