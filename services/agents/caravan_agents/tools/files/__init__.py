"""The tool `file_search`: passages of vector stores, which the vector service finds.

- :mod:`options`: what the request wishes
- :mod:`asking`: asks every store at once, within a time, and puts the answers together
- :mod:`service`: one per process
- :mod:`tool`: the calls of one run, as items and events; citations are :mod:`caravan_agents.responses.marks`
"""
