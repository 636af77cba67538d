"""Ask models over the bus from Python: :mod:`caravan_client`, under the name that the whole of Caravan has for it.

A service that only asks depends on the package ``caravan-client`` and imports ``caravan_client``.
"""

from caravan_client import *  # noqa: F403 - the same names, all of them
from caravan_client import __all__ as __all__
