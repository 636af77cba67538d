"""Connections to addresses that users name: an MCP server, a webhook, a page of the web.

Whoever names an address must not reach through us what only we can reach. So nothing but http and https is spoken, a
name is resolved once, every address that comes of it is judged, and the connection goes to an address that was judged.

- :mod:`addresses`: which addresses belong to the public Internet
- :mod:`hosts`: what a URL names, however it is written
- :mod:`allowed`: what an operator allows beside that
- :mod:`guard`: :class:`Guard`, which judges a URL and gives the addresses to connect to
- :mod:`aiohttp_client`: a guarded session of aiohttp (the extra ``caravan-bus[outbound]``)
- :mod:`httpx_transport`: a guarded transport of httpx2 (the extra ``caravan-bus[outbound]``)

The last two are not imported here: a process that makes no such connection does not pay for their libraries.
"""

from caravan_bus.outbound.allowed import Allowed
from caravan_bus.outbound.guard import Address, Guard

__all__ = ["Address", "Allowed", "Guard"]
