"""Ollama's API: ``/api/chat``, ``/api/generate``, embeddings, and what tools ask about models.

:mod:`asking` and :mod:`messages` read requests, :mod:`writing` and :mod:`embedding` write answers, :mod:`dialects` are
the two together, :mod:`table` their paths, :mod:`about` what needs no model.
Source: Ollama's ``docs/api.md``.
"""
