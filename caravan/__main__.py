"""``python -m caravan`` is the command ``caravan``."""

from caravan.cli import main

if __name__ == "__main__":
    main()
