"""Work queues: jobs that outlive whoever publishes them and whoever works on them.

- :mod:`queue`: what a queue is, as a Protocol; :mod:`jetstream` and its in-memory twin :mod:`memory` pass one
  contract test
- :mod:`outbox`: publishing without waiting, with a bounded memory of what is not confirmed yet
- :mod:`consumer`: working on jobs, so many at once, until they are done
- :mod:`api`: requests to JetStream over a :class:`caravan_bus.transport.Transport`; :mod:`declare`: its streams
"""
