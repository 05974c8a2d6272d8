"""A network and a mount namespace of the run's own: bridges, rules and mounts of every engine end with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

_MARK = "DOCKWRIGHT_BENCH_ISOLATED"


def enter(*, keep_host_network: bool = False, program: str = "bench") -> None:
    """Run this program again inside new namespaces; returns at once when it is inside them.

    Both engines live there together, so that both pay the same for it. Ends the program when a part is missing.
    """
    if os.environ.get(_MARK):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        # dockerd sets FORWARD to DROP when it is the one that switches forwarding on, and drops our traffic with that.
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        return
    if os.geteuid() != 0:
        sys.exit("bench: root is needed, real containers are run")
    unshare = shutil.which("unshare")
    if unshare is None:
        sys.exit("bench: unshare is needed (Debian package util-linux)")
    flags = ["--mount"] if keep_host_network else ["--mount", "--net"]
    os.execve(
        unshare,
        [unshare, *flags, sys.executable, "-m", program, *sys.argv[1:]],
        os.environ | {_MARK: "1"},
    )
