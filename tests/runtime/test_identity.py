"""PostgreSQL refuses uid 0; the runtime works as root and as anybody."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest

from caravan.runtime import Infrastructure, binaries, identity

RUN = "import asyncio, sys\nfrom caravan.runtime import Infrastructure\n" + (
    "async def main():\n async with Infrastructure(sys.argv[1]) as infra: print(infra.nats_url)\nasyncio.run(main())"
)


@pytest.mark.skipif(os.geteuid() != 0, reason="is about root")
async def test_root_needs_no_other_user_and_its_files_stay_its_own(infra: Infrastructure) -> None:
    if not identity.namespaces_work():
        pytest.skip("user namespaces are off here")
    data = infra.data.postgres / "data"
    assert {path.stat().st_uid for path in (data, *data.iterdir())} == {0}


def as_nobody(python: str, code: str, home: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--", python, "-c", code, *arguments],
        env={
            "PATH": os.pathsep.join((sysconfig.get_path("scripts"), os.environ["PATH"])),
            "HOME": home,
            "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip


def python_for_nobody(home: str) -> str:
    """An interpreter that nobody may run, with our packages: this one, or the system's of the same version."""
    probe = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import caravan, asyncpg, nacl'], check=True)"
    )
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        if Path(python).exists() and as_nobody(python, probe, home).returncode == 0:
            return python
    pytest.skip("nobody can't reach an interpreter with our packages")


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root to become nobody")
def test_an_ordinary_user_runs_it() -> None:
    with tempfile.TemporaryDirectory(prefix="caravan-nobody-") as folder:
        shutil.chown(folder, "nobody")
        done = as_nobody(python_for_nobody(folder), RUN, folder, f"{folder}/data")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("nats://127.0.0.1:")
        assert (Path(folder) / "data" / "postgres" / "data").owner() == "nobody"


@pytest.mark.skipif(os.geteuid() != 0, reason="is about root")
def test_without_namespaces_root_says_why_nobody_cannot_do_it_either(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "postgres"
    folder.mkdir(parents=True)
    tmp_path.chmod(0o700)
    with pytest.raises(identity.StartError, match="ordinary user"):
        identity._drop(folder, binaries.postgres("postgres"))


@pytest.mark.skipif(os.geteuid() != 0, reason="is about root")
async def test_without_namespaces_root_starts_postgresql_as_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "namespaces_work", lambda: False)
    with tempfile.TemporaryDirectory(prefix="caravan-drop-") as folder:
        os.chmod(folder, 0o711)  # noqa: PTH101
        try:
            async with Infrastructure(f"{folder}/data") as infra:
                assert infra.data.postgres.owner() == "nobody"
                assert infra.data.secrets.owner() == "root"
        except identity.StartError as error:
            if "can't reach" not in str(error):
                raise
            pytest.skip(str(error))
