"""`top`: the host's ps, for the processes of one container."""

from __future__ import annotations

import shlex

from dockwright import cgroup, workers
from dockwright.container.container import Container
from dockwright.container.starting import cgroup_path
from dockwright.errors import HostFailure, Invalid
from dockwright.runtime import programs


async def top(container: Container, ps_args: str) -> tuple[list[str], list[list[str]]]:
    """Titles and one row a process, as `ps ps_args` shows them on the host.

    Raises `Conflict` when it does not run, `Invalid` for arguments that ps refuses or whose output lacks the PID column.
    """
    container.require_live("top")
    try:
        arguments = shlex.split(ps_args)
    except ValueError as error:
        raise Invalid(f"ps_args: {error}") from error
    if "\0" in ps_args:
        raise Invalid("ps_args holds a null byte")
    if any(part in ("-p", "p", "-q", "--pid", "--quick-pid") for part in arguments):
        raise Invalid("ps_args may not choose processes")
    pids = await workers.quick(_pids, container)
    done = await programs.run(["ps", *arguments, "-p", ",".join(map(str, sorted(pids)))], limit_s=20)
    if done.code > 1 or (done.errors and not done.output):
        # Options such as -e choose every process and refuse -p beside them in some combinations: filter by hand.
        done = await programs.run(["ps", *arguments], limit_s=20)
    if done.code > 1 or not done.output:
        raise HostFailure(f"ps: {done.errors or 'no output'}")
    lines = done.output.decode(errors="replace").splitlines()
    titles = lines[0].split()
    if "PID" not in titles:
        raise Invalid("Couldn't find PID field in ps output")
    column = titles.index("PID")
    rows = [line.split(None, len(titles) - 1) for line in lines[1:]]
    wanted = {str(pid) for pid in pids}
    return titles, [row for row in rows if len(row) > column and row[column] in wanted]


def _pids(container: Container) -> set[int]:
    place = cgroup.named(container.parts.cgroups, cgroup_path(container.parts, container.record))
    for controller in ("pids", "memory", "cpu", ""):
        if text := place.read(controller, "cgroup.procs"):
            return {int(pid) for pid in text.split()}
    return set()
