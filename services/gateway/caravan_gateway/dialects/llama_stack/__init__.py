"""Llama Stack's own inference API of its first three generations (clients 0.0.x, 0.0.53 to 0.0.63, 0.1 and 0.2).

Generations 4 and 5 speak OpenAI's API, which needs no dialect. Shapes: the types of llama-stack-client 0.0.50, 0.0.63,
0.1.9 and 0.2.23. Of a request, what has no counterpart passes to the provider as it is; of an answer, what these
clients have no field for (reasoning, further choices) is left out.
"""
