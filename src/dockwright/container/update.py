"""`update`: new limits and restart policy for a container, running or not."""

from __future__ import annotations

from dockwright import cgroup, workers
from dockwright.container import creating, host_limits, restart
from dockwright.container import state as states
from dockwright.container.config import HostConfig, Resources, RestartPolicy
from dockwright.container.container import Container
from dockwright.container.spec import resources
from dockwright.container.starting import cgroup_path
from dockwright.errors import Conflict, HostFailure, Invalid

_FIXED = ("cgroup_parent", "devices", "device_cgroup_rules", "device_requests", "ulimits", "init", "oom_kill_disable")


async def update(container: Container, limits: Resources, policy: RestartPolicy | None) -> None:
    """Change the limits that `limits` sets (0, "" and None leave one as it is) and the restart policy.

    A running container feels it at once. Raises `Invalid` for values that do not go together, with nothing changed.
    """
    states.check("update", container.status, container.id)
    head = f"Cannot update container {container.id}: "
    old = container.record.spec.host
    new = HostConfig(**{name: getattr(old, name) for name in HostConfig.__struct_fields__})
    changed = False
    for name in Resources.__struct_fields__:
        value = getattr(limits, name)
        if value in (0, "", None, []) and name != "oom_kill_disable":
            continue
        if name in _FIXED:
            if value is None:
                continue
            raise Invalid(f"{name.replace('_', ' ')} cannot be changed by update")
        setattr(new, name, value)
        changed = True
    if limits.memory and not limits.memory_swap and old.memory_swap > 0 and limits.memory > old.memory_swap:
        raise Conflict(
            f"{head}Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
        )
    _check_cpus(limits, old, head)
    if policy is not None and policy.name:
        if old.auto_remove and policy.name != "no":
            raise Conflict(f"{head}Restart policy cannot be updated because AutoRemove is enabled for the container")
        restart.validate(policy, old.auto_remove)
        new.restart_policy = policy
    creating.check_limits(new)
    await workers.quick(host_limits.check_cpuset, new, container.parts.cgroups)
    built = resources.build(new)
    if changed and container.live is not None:
        try:
            await container.live.runtime.update(container.id, built)
        except HostFailure as error:
            raise HostFailure(f"{head}{error}") from None
        await workers.quick(_lift, container, limits)
    container.record.spec.host = new
    await container.changed()
    await container.tell("update")


def _check_cpus(limits: Resources, old: HostConfig, head: str) -> None:
    """Raises `Conflict` where the two ways to limit processor time would meet: a container keeps to one of them."""
    for asked, name, have, other in (
        (limits.nano_cpus, "Nano CPUs", old.cpu_period, "CPU Period"),
        (limits.nano_cpus, "Nano CPUs", old.cpu_quota, "CPU Quota"),
        (limits.cpu_period, "CPU Period", old.nano_cpus, "NanoCPUs"),
        (limits.cpu_quota, "CPU Quota", old.nano_cpus, "NanoCPUs"),
    ):
        if asked and have:
            raise Conflict(f"{head}Conflicting options: {name} cannot be updated as {other} has already been set")


def _lift(container: Container, limits: Resources) -> None:
    """Lift the limits that a negative value lifts: crun 1.8 does not write those."""
    place = cgroup.named(container.parts.cgroups, cgroup_path(container.parts, container.record))
    quota = ("cpu.max", "max") if place.version == 2 else ("cpu.cfs_quota_us", "-1")
    for lifted, controller, (name, value) in (
        ((limits.pids_limit or 0) < 0, "pids", ("pids.max", "max")),
        (limits.cpu_quota < 0, "cpu", quota),
    ):
        file = place.file(controller, name)
        if lifted and file is not None:
            file.write_text(value)
