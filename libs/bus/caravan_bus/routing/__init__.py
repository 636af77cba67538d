"""Routes: which target a request goes to, and what is done when one of them fails (docs/routing.md).

plan        the targets of a request, in the order in which they are asked
health      which targets are left alone, for how long (circuit breaker, cool-down)
limits      how much is under way at a target, over all processes
budget      how many tries again a model may cost
retry       what follows on a failure before the first byte
delivered   what a client has of a stream that broke
splice      how another target's stream goes on with it
prefill     the request by which another target goes on
failover    the stream that a caller reads
state       what one process knows, and says to the others
"""
