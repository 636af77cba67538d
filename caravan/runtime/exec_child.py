"""Become a child that dies with its launcher, then exec the program. Runs alone, on the standard library.

    python -I -S exec_child.py LAUNCHER_PID DEATH_SIGNAL IDENTITY PROGRAM [ARGUMENT...]

IDENTITY: ``keep``; ``namespace`` (root only: a user namespace in which our uid has another name, since PostgreSQL
refuses to run as uid 0 - files stay root's); ``drop:UID:GID`` (root only: give root up).
A separate program, not a `preexec_fn`: that would run Python between fork and exec in a process with threads.
"""

import ctypes
import os
import sys

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
RENAMED = 1000


def rename_root() -> None:
    """Enter a user namespace where this process has uid and gid 1000; raises OSError where that is forbidden."""
    uid, gid = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{RENAMED} {uid} 1"),
        ("gid_map", f"{RENAMED} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123 - pathlib costs more than all the rest here
            file.write(text)


def drop(uid: int, gid: int) -> None:
    """Give up root for good."""
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def main() -> None:
    """See the top of the file."""
    launcher, signal, identity, *command = sys.argv[1:]
    if identity == "namespace":
        rename_root()
    elif identity.startswith("drop:"):
        drop(*(int(part) for part in identity.split(":")[1:]))
    if sys.platform == "linux":
        # After the change of credentials, which would clear it.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal), 0, 0, 0)
    if os.getppid() != int(launcher):
        raise SystemExit("the launcher ended before its child began")
    os.execv(command[0], command)  # noqa: S606 - a list of arguments, from the launcher


if __name__ == "__main__":
    main()
