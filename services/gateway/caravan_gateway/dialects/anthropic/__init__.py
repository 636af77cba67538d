"""Anthropic's Messages API.

`reading` makes a chat completion of a request, with `messages`, `parts` and `tools`; `writing` makes events, or the
whole message, of the answer, with `blocks` and `ending`; `errors` has the words for what failed; `routes` puts them
together.

Source: Anthropic's API reference, "Messages" (version 2023-06-01), and the types of its official client.
"""
