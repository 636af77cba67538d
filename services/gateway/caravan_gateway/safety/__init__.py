"""Safety over HTTP.

- :mod:`asking`: the safety service, as these routes ask it
- :mod:`shields`, :mod:`guardrails`: the resources
- :mod:`judging`: moderations, one shield on messages, the audit
"""
