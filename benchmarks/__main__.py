"""``python -m benchmarks``: the mesh; ``python -m benchmarks vectors``: the indexes of vector stores."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    if sys.argv[1:2] == ["vectors"]:
        from benchmarks.vectors import main as measure_vectors

        measure_vectors(sys.argv[2:])
    else:
        from benchmarks.run import main

        raise SystemExit(main())
