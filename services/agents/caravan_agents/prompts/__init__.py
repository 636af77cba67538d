"""Prompts: templates that are kept in versions.

- :mod:`templates`: what stands in a template, and what becomes of it
- :mod:`store`: their tables, for this package and for whoever answers with a prompt
- :mod:`service`, :mod:`handlers`: the questions one may ask about them
"""
