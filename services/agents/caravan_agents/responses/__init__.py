"""OpenAI's Responses API as a codec over chat completions: no I/O, no clock, no state but a response's own.

Whoever runs responses walks through it once from left to right, and around the middle once for each turn of the model::

    body ─ read_request ─→ ResponseRequest ─┐                       ┌─→ bytes for the client
    items so far ─ to_messages ─→ messages ─┴─ chat_body ─→ model ─ EventWriter.feed
                                                                    └─ end_turn ─→ Turn ─→ tools ─→ items

- :func:`request.read_request`: the body of a request, or a 400 whose `param` is the path of the wrong field
- :func:`messages.to_messages`: items as messages; calls of one turn are together, results are framed as untrusted
- :func:`resolving.resolve`: compactions and sealed reasoning among items as what the model is told; `sealing.py` seals
- :func:`chat.chat_body`: what is sent to the provider; :class:`tools.Offered` are functions that the server runs
- :class:`events.EventWriter`: the events, from `response.created` to the one that ends the stream
- :class:`turn.Turn`: what came of an answer: its items, calls to be run, why it ended
- :class:`assembly.ResponseObject`: the response object at each stage

`operations.py` does the rest with an input: :mod:`counting` reckons its tokens, :class:`compacting.Compactor` has a
model write its summary, also between two turns of a response.

Items and tools stay dictionaries of OpenAI's shape all the way; the SDK's types only say whether they are right
(`items.py`, `tools.py`, `checks.py`). References, compactions, prompts and files are resolved by whoever runs the
response, before `to_messages`: what is left of them there is an error.

**The events.** `EventWriter` owns the numbers: `sequence_number` counts events, `output_index` counts items as they
begin. Message and reasoning follow each other; calls of functions may be open side by side, and are closed when the
turn ends, since no chunk says that the arguments of one are whole. A call of a function that is not among the
request's own is not told to the client: it is in `Turn.calls`, and its tool's item is announced with `add_item`,
followed with `item_event`, and done with `finish_item`. `finish` closes what is open as incomplete and writes the
terminal event. OpenAI has none for cancelled responses; theirs is `response.incomplete`, whose object says
`cancelled`.

**What a token costs.** The bytes of a delta's event are made when its item begins, all but the number and the text
(`sse.DeltaTemplate`). Chunks of a stream differ in one string: once a chunk was parsed and brought nothing but text,
the bytes around that text are its outline (`outline.py`), and chunks that fit it are not parsed again; their string
goes out as it came. Everything else is parsed once (`chunks.py`). ``python -m benchmarks.responses`` measures it:
1 to 4 µs a token; probabilities of tokens, where they are asked for, cost more than that.
"""
