"""Tells endpoints that a response has ended: Standard Webhooks, out of a work queue.

- :mod:`endpoints`: whom to tell, from the stack file; :mod:`signing`: how they know that it was us
- :mod:`events`: what they are told, and the jobs that carry it
- :mod:`posting`: one try of one job; :mod:`pauses`: when the next one comes
- :mod:`service`: one per process: takes events, works on the queue
"""
