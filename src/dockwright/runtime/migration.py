"""Telling the kernel early that processes are about to change cgroups.

The first move into a cgroup after a quiet moment waits for an RCU grace period, 5 to 14 ms, in which the kernel turns its
lock over threads and cgroups from cheap readers to a writer (`cgroup_threadgroup_rwsem`, a percpu_rw_semaphore); moves soon
after it find the lock turned. An OCI runtime comes to its move some milliseconds after it was executed: a move that changes
nothing, made meanwhile, has the grace period pass beside the runtime's own work. crun exec: 22 -> 10 ms.
"""

from __future__ import annotations

import os
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


def announce(pid: int) -> None:
    """Move the process `pid`, a child just executed, into a cgroup it is in already; blocking, for the grace period.

    Never fails: where it cannot be done, nothing is gained. The child is moved and not the daemon, so that a daemon that
    somebody moves at the same moment stays where it was put.
    """
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return  # it has ended
    for line in lines:
        _, controllers, path = line.split(":", 2)
        places = [controllers.removeprefix("name=")] if controllers else ["unified", ""]
        for place in places:
            if _move(pid, _ROOT / place / path.lstrip("/") / "cgroup.procs"):
                return


def _move(pid: int, procs: Path) -> bool:
    try:
        fd = os.open(procs, os.O_WRONLY)
    except OSError:
        return False  # not mounted here, or seen through another cgroup namespace
    try:
        os.write(fd, str(pid).encode())
    except OSError:
        pass  # refused, or the process has ended: the lock was taken all the same
    finally:
        os.close(fd)
    return True
