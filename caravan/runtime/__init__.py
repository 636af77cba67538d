"""The embedded runtime: real servers and our services as supervised children of one launcher.

``Infrastructure``   NATS, PostgreSQL and Valkey in one data folder
``Mesh``             the same, and every service beside them: what ``caravan up`` runs
``StartError``       what may go wrong, as one paragraph that says what to do
"""

from caravan.errors import AlreadyRunning, MissingBinary, NoAccess, PortTaken, StartError
from caravan.runtime.infrastructure import Infrastructure
from caravan.runtime.paths import DataDir

__all__ = [
    "AlreadyRunning",
    "DataDir",
    "Infrastructure",
    "MissingBinary",
    "NoAccess",
    "PortTaken",
    "StartError",
]
