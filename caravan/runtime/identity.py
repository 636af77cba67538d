"""Who PostgreSQL runs as: it refuses uid 0, so root needs a way round that makes no user and opens no folder."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

from caravan.errors import StartError

_EXEC = Path(__file__).with_name("exec_child.py")


def namespaces_work() -> bool:
    """Whether root may enter a user namespace here (some containers forbid it)."""
    true = shutil.which("true") or "/bin/true"
    command = [sys.executable, "-I", "-S", str(_EXEC), str(os.getpid()), "9", "namespace", true]
    try:
        return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def for_postgres(folder: Path, programs: Path) -> str:
    """The `identity` (see exec_child.py) under which PostgreSQL keeps its files in `folder`.

    Raises :class:`StartError` when we are root and neither a namespace nor another user will do.
    """
    if os.name != "posix" or os.geteuid() != 0:
        return "keep"
    if sys.platform == "linux" and namespaces_work():
        return "namespace"
    return _drop(folder, programs)


def _drop(folder: Path, programs: Path) -> str:
    try:
        user = pwd.getpwnam("nobody")
    except KeyError as error:
        raise StartError(_advice("there is no user nobody")) from error
    folder.parent.chmod(0o711)  # the data folder: nobody may pass, and still not look
    for path in (folder, programs):
        for parent in path.parents:
            if parent.stat().st_mode & 0o001 == 0 and parent.stat().st_uid != user.pw_uid:
                raise StartError(_advice(f"the user nobody can't reach {path} through {parent}"))
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid)
    return f"drop:{user.pw_uid}:{user.pw_gid}"


def _advice(why: str) -> str:
    return (
        "PostgreSQL refuses to run as root, user namespaces are switched off here, and "
        f"{why}. Run caravan as an ordinary user, or put environment and data where everybody may pass "
        "(`--data-dir /var/lib/caravan`), or allow user namespaces (sysctl user.max_user_namespaces)."
    )
