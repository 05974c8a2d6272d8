"""`--ulimit`, `--sysctl` and `--restart`."""

from __future__ import annotations

from dockwright import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ULIMITS = frozenset(
    """
    core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack
    """.split()
)
_SYSCTLS = frozenset(
    """
    kernel.msgmax kernel.msgmnb kernel.msgmni kernel.sem kernel.shmall kernel.shmmax kernel.shmmni
    kernel.shm_rmid_forced
    """.split()
)


def ulimit(text: str) -> dict[str, Any]:
    """`nofile=1024:2048` as a `Ulimit`; -1 is no limit."""
    name, equals, numbers = text.partition("=")
    if not equals:
        raise ValueError(f"invalid ulimit argument: {text}")
    if name not in _ULIMITS:
        raise ValueError(f"invalid ulimit type: {name}")
    parts = numbers.split(":")
    if len(parts) > 2:
        raise ValueError(f"too many limit value arguments - {numbers}, can only have up to two, `soft[:hard]`")
    try:
        soft, hard = int(parts[0]), int(parts[-1])
    except ValueError as error:
        bad = next(part for part in parts if not part.lstrip("-").isdigit())
        raise ValueError(f'strconv.ParseInt: parsing "{bad}": invalid syntax') from error
    if hard != -1 and (soft == -1 or soft > hard):
        raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
    return {"Name": name, "Soft": soft, "Hard": hard}


def sysctl(text: str) -> tuple[str, str]:
    """`net.core.somaxconn=1024`: only what a container has a namespace for."""
    name, equals, value = text.partition("=")
    if not equals or not (name in _SYSCTLS or name.startswith(("net.", "fs.mqueue."))):
        raise ValueError(f"sysctl '{text}' is not allowed")
    return name, value


def restart_policy(text: str) -> dict[str, Any]:
    """`on-failure:3` as a `RestartPolicy`. Raises `errors.Invalid`."""
    name, colon, count = text.partition(":")
    if colon and not name:
        raise errors.Invalid("invalid restart policy format: no policy provided before colon")
    if not count:
        return {"Name": name, "MaximumRetryCount": 0}
    try:
        return {"Name": name, "MaximumRetryCount": int(count)}
    except ValueError as error:
        raise errors.Invalid("invalid restart policy format: maximum retry count must be an integer") from error
