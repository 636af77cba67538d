"""The stack file ``caravan.yaml``: which providers, models and routes a mesh begins with.

- :mod:`sources`: a file, or the name of a ready-made stack
- :mod:`document`: YAML with the line of everything in it
- :mod:`keys`, :mod:`providers`, :mod:`models`, :mod:`routes`: what may stand where
- :mod:`read`: all of it together
- :mod:`schema`: the same as JSON Schema, for editors
"""

from caravan_registry.stack.problems import Problem, StackError
from caravan_registry.stack.read import Stack, check, effective, load
from caravan_registry.stack.schema import json_schema
from caravan_registry.stack.sources import READY_MADE

__all__ = ["READY_MADE", "Problem", "Stack", "StackError", "check", "effective", "json_schema", "load"]
