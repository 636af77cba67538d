"""Answers kept for exactly equal requests.

- :mod:`target`: what a model's name stands for
- :mod:`store`: the answers in Redis, bounded by bytes per tenant
- :mod:`cache`: which requests may use it
- :mod:`copied`: an answer that is copied while it passes
"""
