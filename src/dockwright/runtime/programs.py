"""Running helper programs: spawned and awaited in threads of their own, never in the loop."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from dockwright import workers
from dockwright.errors import HostFailure

P = ParamSpec("P")
T = TypeVar("T")

# Threads here only wait for a child: many are cheap, few would queue a hundred starts behind each other.
_waiters = ThreadPoolExecutor(max_workers=32, thread_name_prefix="program")


@dataclass(frozen=True)
class Completed:
    """How a program ended: its exit code (negative: killed by that signal) and what it wrote."""

    code: int
    output: bytes
    errors: str


def environment(scratch: Path) -> dict[str, str]:
    """The environment of an OCI runtime that makes processes; `scratch` is a directory on the exec root's tmpfs.

    runc and crun protect their own binary from the container (CVE-2019-5736) by running from a read-only mount of it, whose
    mount point they make in _LIBCONTAINER_STATEDIR: left to itself, crun makes it in /tmp, and waits for that disk's journal.
    """
    path = os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
    return {"PATH": path, "_LIBCONTAINER_STATEDIR": str(scratch)}


async def run(argv: Sequence[str], *, limit_s: float = 60.0, stdin: bytes | None = None) -> Completed:
    """Run a program to its end.

    Raises `HostFailure` when it cannot be executed or takes longer than `limit_s` (it is killed then). A cancelled caller
    waits for the program's end first.
    """
    return await wait_in_thread(_run, argv, limit_s, stdin)


def _run(argv: Sequence[str], limit_s: float, stdin: bytes | None) -> Completed:
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=limit_s,
            check=False,
        )
    except OSError as error:
        raise HostFailure(f"{argv[0]}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise HostFailure(f"{argv[0]} took longer than {limit_s:g} s") from error
    return Completed(done.returncode, done.stdout, done.stderr.decode(errors="replace").strip())


async def wait_in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `work`, which mostly waits for a child process, in one of the waiting threads, to its end as `workers.quick`."""
    return await workers.finished(asyncio.get_running_loop().run_in_executor(_waiters, partial(work, *args, **kwargs)))
