"""How well a vector store answers: questions whose answers are known, searched for in several ways.

- `questions`: a question and what answers it; `builtin`: some over the Python reference, which every Python has
- `metrics`: numbers out of ranks; `evaluation`: one way of searching, over all questions
- `ways`: the ways of a search; `stores`: vector stores over HTTP
"""
