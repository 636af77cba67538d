"""Models that use tools of every kind."""

from __future__ import annotations

from tests.search.searching import SearchingUpstream
from tests.tools.calling import CallingUpstream


class ActingUpstream(CallingUpstream, SearchingUpstream):
    """`calling` and `search`, beside all that the scripted upstream has."""
