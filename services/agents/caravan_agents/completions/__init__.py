"""Stored chat completions.

- :mod:`assembly`: a stream's events become the object that an unstreamed answer is
- :mod:`keeping`: a job of the work queue becomes rows
- :mod:`store`: their tables; :mod:`pages`: what fits into one reply
- :mod:`service`, :mod:`handlers`: the questions one may ask about them
- :mod:`sweeping`: what is too old, or too much, is forgotten
"""
