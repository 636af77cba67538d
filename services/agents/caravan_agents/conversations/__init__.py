"""Conversations.

- :mod:`kinds`: which items there are, and what each must have
- :mod:`items`: an item as a client writes it becomes the one that is kept
- :mod:`include`: what is left out of an item unless it is asked for
- :mod:`store`: their tables, for this package and for whoever answers in a conversation
- :mod:`service`, :mod:`handlers`: the questions one may ask about them
"""
