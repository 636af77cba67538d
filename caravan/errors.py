"""What may go wrong while starting. Each message is one paragraph for a person and says what to do.

StartError
├── AlreadyRunning · NotRunning
├── NoAccess          (the data folder: permissions, full disk)
├── PortTaken
├── MissingBinary
└── ChildFailed       (a server or service that ended or never became ready)
"""

from __future__ import annotations

import errno
from pathlib import Path


class StartError(Exception):
    """Something that keeps Caravan from running; the message is meant for the terminal."""


class AlreadyRunning(StartError):
    """Another launcher holds this data folder."""

    def __init__(self, data_dir: Path, pid: int | None) -> None:
        who = f" (process {pid})" if pid else ""
        super().__init__(
            f"Caravan already runs on the data folder {data_dir}{who}. Look with `caravan status`, stop it with "
            "`caravan down`, or start a second instance with another folder and port: "
            "`caravan up --data-dir OTHER --port OTHER`."
        )
        self.pid = pid


class NotRunning(StartError):
    """No launcher runs on this data folder."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(f"Caravan does not run on the data folder {data_dir}. Start it with `caravan up`.")


class NoAccess(StartError):
    """The data folder can't be made, read or written."""

    @staticmethod
    def of(path: Path, error: OSError) -> NoAccess:
        """From the operating system's own error."""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return NoAccess.full(path)
        return NoAccess(
            f"The data folder can't be used: {path}: {error.strerror or error}. Give your user write access to it, "
            "or choose another folder with --data-dir or CARAVAN_DATA_DIR."
        )

    @staticmethod
    def full(path: Path) -> NoAccess:
        """The disk is full, or nearly."""
        return NoAccess(
            f"There is too little space left for the data folder ({path}): a fresh one needs about 300 MB. Free some, "
            "or choose another disk with --data-dir or CARAVAN_DATA_DIR."
        )


class PortTaken(StartError):
    """A port that was asked for belongs to somebody else."""

    def __init__(self, host: str, port: int, option: str = "--port") -> None:
        super().__init__(
            f"Port {port} on {host} is taken by another program. Stop that program, or choose another port with "
            f"{option} (0 = any free one)."
        )
        self.port = port


class MissingBinary(StartError):
    """A server's program is not installed, or does not exist for this platform."""

    def __init__(self, program: str, package: str, detail: str = "") -> None:
        super().__init__(
            f"The program {program} was not found{': ' + detail if detail else ''}. It comes with the Python "
            f"package {package}: install it again into this environment (`make setup`), or, where {package} has no "
            "build for this platform, run the servers with `docker compose up`."
        )


class ChildFailed(StartError):
    """A child ended while starting, or did not become ready in time."""

    def __init__(self, name: str, reason: str, log: Path, tail: str) -> None:
        said = f" Its last words: {tail}" if tail else ""
        super().__init__(f"{name} did not start: {reason}.{said} The whole log: {log}")
        self.name = name
        self.tail = tail
