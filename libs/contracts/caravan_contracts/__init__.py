"""What is said on Caravan's bus. No I/O: a third party can depend on this package alone.

- :mod:`subjects`, :mod:`headers`, :mod:`frames`: the wire
- :mod:`context`: who asks, until when, in which trace
- :mod:`errors`: the error tree
- :mod:`inference`, :mod:`presence`, :mod:`registry`: the messages
- :mod:`channels`: every channel of the bus in one table; :mod:`permissions` and :mod:`asyncapi` are derived from it
"""

VERSION = "0.1.0"
