"""The doors for foreign NATS clients, of whichever service has one.

- :mod:`entry`: hears requests, in plain mode or in frames, and has them answered
- :mod:`answering`: what a service brings to it
- :mod:`streams`, :mod:`body`: frames, and bodies that are larger than a message
"""
