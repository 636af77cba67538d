"""One child process: own session, dies with the launcher, output in a log file."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from caravan.errors import NoAccess
from caravan.runtime import logs

_EXEC = str(Path(__file__).with_name("exec_child.py"))
_PLAIN = ("PATH", "HOME", "TMPDIR", "TZ", "LANG", "LD_LIBRARY_PATH", "USER", "LOGNAME")


def plain_environment() -> dict[str, str]:
    """What a server needs of our environment; keys of providers are not its business."""
    return {name: os.environ[name] for name in _PLAIN if name in os.environ}


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How to run one child. Nothing secret may stand in `command`: everybody can read it with `ps`."""

    name: str
    command: tuple[str, ...]
    log: Path
    environment: Mapping[str, str] = field(default_factory=plain_environment, repr=False)
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    """How long it may take to stop before it is killed."""
    death_signal: signal.Signals = signal.SIGKILL
    """What the kernel sends it when the launcher dies (Linux)."""
    identity: str = "keep"
    """See exec_child.py."""


class Child:
    """A running child. Make it with :meth:`start`, on a thread that lives as long as the child should."""

    def __init__(self, spec: ChildSpec, process: asyncio.subprocess.Process, log_start: int) -> None:
        self.spec = spec
        self._process = process
        self._log_start = log_start

    @staticmethod
    async def start(spec: ChildSpec) -> Child:
        """Run it; raises :class:`NoAccess` when its log can't be written."""
        log_start = logs.size(spec.log)
        try:
            output = os.open(spec.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise NoAccess.of(spec.log, error) from error
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", _EXEC),
                *(str(os.getpid()), str(int(spec.death_signal)), spec.identity),
                *spec.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(spec.environment),
                start_new_session=True,
            )
        finally:
            os.close(output)
        return Child(spec, process, log_start)

    @property
    def pid(self) -> int:
        """Its process id, which is its session and process group too."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Exit status, negative = killed by that signal; None while it runs."""
        return self._process.returncode

    def last_words(self) -> str:
        """The end of what this run wrote to its log."""
        return logs.tail(self.spec.log, self._log_start)

    async def wait(self) -> int:
        """Wait for its end; the exit status."""
        return await self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when it has ended."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def stop(self) -> None:
        """Ask it to stop; kill its whole session when it does not in time."""
        self.send(self.spec.stop_signal)
        try:
            async with asyncio.timeout(self.spec.stop_seconds):
                await self.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """SIGKILL to its whole session."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it ended, and asyncio has not told us yet
                os.killpg(self.pid, signal.SIGKILL)
            await self.wait()


def describe_exit(code: int) -> str:
    """ "it exited with status 3", "it was killed by SIGKILL"."""
    if code >= 0:
        return f"it exited with status {code}"
    try:
        return f"it was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"it was killed by signal {-code}"
