"""Google's Interactions, ``/v1beta/interactions`` and ``/v1alpha/interactions``, around our responses.

Both are conversations that the server keeps, so an interaction is a response by another name: its id is the
response's. :mod:`reading` reads requests, :mod:`writing` writes answers and events, :mod:`routes` has the paths.
Source: Google's reference of the Interactions API; OGX's ``/v1alpha/interactions``.
"""
