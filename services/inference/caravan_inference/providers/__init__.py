"""Providers: one Protocol in :mod:`base`, one module each. The table of types is derived, see :mod:`discover`."""
