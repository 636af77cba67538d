"""Where it is kept.

- :mod:`postgres`: the truth; a pool that survives its server
- :mod:`migrations`: numbered SQL files of each service
- :mod:`redis`: speed that replicas share
- :mod:`blobs`: big bodies while their request is under way
- :mod:`settings`: DATABASE_URL, REDIS_URL
"""
