"""Kinds of shields: one module each, found by the `types` of its class.

Another package joins with an entry point of the group ``caravan.shields`` that names such a class. Modules are imported
when the first shield of their type is used, so that a kind which needs a package of its own costs nobody else one.

- :mod:`base`: the Protocol, a passage and an opinion
- :mod:`parts`: what shields share
- :mod:`kinds`: which there are
"""
