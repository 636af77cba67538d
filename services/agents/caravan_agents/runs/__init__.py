"""A run makes one response, and survives the process that makes it.

- :mod:`engine`: the loop over turns of the model and calls of tools; :mod:`asking`: the model, asked for one turn;
  :mod:`wanted`: the calls it wants; :mod:`calls`: those calls, made
- :mod:`starting`: a run at its beginning, or where another process left it; :mod:`finishing`: its end, stored and told
- :mod:`foreground`: runs that somebody waits for
- :mod:`log`: the events of a run, on their way to whoever reads them; :mod:`tail`: the newest of them, in Redis
- :mod:`journal`: what a run has done, in PostgreSQL; :mod:`state`: how that is written
- :mod:`rebuild`: from the journal and the events back to a run that goes on
- :mod:`background`: runs that nobody waits for, out of the work queue; :mod:`keeper`: whose they are
- :mod:`packing`: the request as it is written down; :mod:`notices`: who hears of its end; :mod:`sweeping`: what nobody
  cares for; :mod:`spans`: for traces
- :mod:`following`: the events of a run for whoever comes later; :mod:`cancelling`: its end before its time
"""
