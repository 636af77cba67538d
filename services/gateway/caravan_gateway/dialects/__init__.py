"""APIs of others, as codecs around the one way a completion is asked for and streamed.

A dialect is one module with a class that meets :class:`caravan_gateway.dialects.base.Dialect`: it turns a request into
OpenAI's, and the answer back, whole or as it streams. Who asks, limits, routing, cancelling, metrics and errors'
statuses are those of :class:`caravan_gateway.completions.CompletionRoute`, which :mod:`route` wraps.
"""
