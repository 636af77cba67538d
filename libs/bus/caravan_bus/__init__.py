"""How it is said on Caravan's bus.

- :mod:`transport`, :mod:`nats`, :mod:`memory`: the line, and its in-memory twin
- :mod:`requests`: request and reply; :mod:`stream`: frames with credit and resend
- :mod:`presence`, :mod:`router`, :mod:`slots`: who is there, who gets a request, how much one takes
- :mod:`registry_view`, :mod:`catalog`: models and providers, always fresh
- :mod:`inference`: all of it together, for whoever wants a model's answer
- :mod:`discovery`, :mod:`ops`, :mod:`metrics`, :mod:`tracing`, :mod:`logs`, :mod:`settings`, :mod:`process`: running it
"""
