"""`update`: new limits and restart policy for a container, running or not."""

from __future__ import annotations

from dockwright.container import creating, restart
from dockwright.container import state as states
from dockwright.container.config import HostConfig, Resources, RestartPolicy
from dockwright.container.container import Container
from dockwright.container.spec import resources
from dockwright.errors import Conflict, Invalid

_FIXED = ("cgroup_parent", "devices", "device_cgroup_rules", "device_requests", "ulimits", "init", "oom_kill_disable")


async def update(container: Container, limits: Resources, policy: RestartPolicy | None) -> None:
    """Change the limits that `limits` sets (0, "" and None leave one as it is) and the restart policy.

    A running container feels it at once. Raises `Invalid` for values that do not go together, with nothing changed.
    """
    states.check("update", container.status, container.id)
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
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
        )
    if limits.nano_cpus:
        new.cpu_quota = new.cpu_period = 0
    elif limits.cpu_quota or limits.cpu_period:
        new.nano_cpus = 0
    if policy is not None and policy.name:
        restart.validate(policy, old.auto_remove)
        new.restart_policy = policy
    creating.check_limits(new)
    built = resources.build(new)
    if changed and container.live is not None:
        await container.live.runtime.update(container.id, built)
    container.record.spec.host = new
    await container.changed()
    await container.tell("update")
