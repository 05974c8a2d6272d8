"""What a reader must know of the machine to judge the figures."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import dockwright


def facts() -> list[str]:
    """One line each: processor, memory, kernel, programs, load at the start."""
    load = os.getloadavg()[0]
    return [
        f"{os.cpu_count()} cores ({_processor()}), {_memory_gib():.0f} GiB, Linux {platform.release()}, "
        f"load {load:.1f} at the start",
        f"Dockwright {dockwright.__version__}, Python {platform.python_version()}, {_version('crun')}, "
        f"{_version('conmon')}",
        f"client: {_version('docker') or 'no docker CLI: its rows are left out'}",
        "samples of the engines alternate; figures are medians; shared processors make them noisy",
    ]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine() or sys.platform


def _memory_gib() -> float:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal"):
            return int(line.split()[1]) / (1 << 20)
    return 0.0


def _version(program: str) -> str:
    if shutil.which(program) is None:
        return ""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return done.stdout.splitlines()[0].strip() if done.stdout else program
