"""Google's Gemini API: ``models/…:generateContent`` and what belongs to it, under ``/v1beta``, ``/v1alpha``, ``/v1``.

:mod:`contents`, :mod:`options` and :mod:`asking` read requests, :mod:`writing` and :mod:`embedding` write answers,
:mod:`dialects` are the two together, :mod:`table` their paths, :mod:`about` the list of models.
Source: Google's reference of the Gemini API (generateContent, Content, GenerationConfig, Schema, countTokens).
"""
