"""How a control service answers: FastStream, with our errors, counts, spans and time-outs.

Needs ``caravan-bus[control]``. The token path and the gateway import nothing from here.

- :mod:`broker`: FastStream's connection
- :mod:`messages`: typed requests, and an answer for each of them whatever happens
"""

from caravan_bus.lazily import lazily

for _unused in ("aiohttp", "uvicorn"):  # what FastStream and nats-py import, and we do not use
    lazily(_unused)
