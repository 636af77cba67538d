"""The tool `web_search`: a search engine of the operator's choice.

- :mod:`settings`: which, from the environment; :mod:`providers`: one file for each
- :mod:`options`: what the request wishes; :mod:`question`: what a provider is asked, and what it found
- :mod:`client`: asks it, within a time and a size; :mod:`service`: one per process
- :mod:`tool`: the calls of one run, as items and events; :mod:`citations`: where its text cites what was found
"""
