"""Restart policies: whether a container that ended starts again, and after how long. Pure."""

from __future__ import annotations

from dockwright.container.config import RestartPolicy
from dockwright.errors import Invalid

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 60.0
STEADY_S = 10.0
_NAMES = ("", "no", "always", "unless-stopped", "on-failure")


def validate(policy: RestartPolicy, auto_remove: bool) -> None:
    """Raises `Invalid` with Docker's wording."""
    if policy.name not in _NAMES:
        raise Invalid(
            f"invalid restart policy: unknown policy '{policy.name}'; "
            "use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        )
    if policy.maximum_retry_count < 0:
        raise Invalid("invalid restart policy: maximum retry count cannot be negative")
    if policy.maximum_retry_count and policy.name != "on-failure":
        raise Invalid("invalid restart policy: maximum retry count can only be used with 'on-failure'")
    if auto_remove and policy.name not in ("", "no"):
        raise Invalid("can't create 'AutoRemove' container with restart policy")


def again(policy: RestartPolicy, exit_code: int, restarts: int, stopped_by_hand: bool) -> bool:
    """Whether a container that just ended is started again."""
    if stopped_by_hand:
        return False
    match policy.name:
        case "always" | "unless-stopped":
            return True
        case "on-failure":
            return exit_code != 0 and (not policy.maximum_retry_count or restarts < policy.maximum_retry_count)
    return False


def at_daemon_start(policy: RestartPolicy, exit_code: int, restarts: int, stopped_by_hand: bool, ran: bool) -> bool:
    """Whether a container found stopped when the daemon starts is started: `always` even after a stop by hand."""
    if policy.name == "always":
        return ran
    return ran and again(policy, exit_code, restarts, stopped_by_hand)


def next_delay_s(previous_s: float, ran_s: float) -> float:
    """Back-off: doubles from 0.1 s to a minute, and starts over after a run of ten seconds."""
    if not previous_s or ran_s >= STEADY_S:
        return FIRST_DELAY_S
    return min(previous_s * 2, LONGEST_DELAY_S)
