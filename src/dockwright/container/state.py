"""The states of a container and what each allows: one value, one table.

created ── start ──> running ── pause ──> paused
   │                  │  ^                  │
   │                  │  └─── unpause ──────┘
   │                exit
   │                  v
   └── remove ──>  exited <── back-off ── restarting
                      │
                   removing ──> (gone)      dead: removal failed half-way, may be tried again
"""

from __future__ import annotations

from enum import StrEnum

from dockwright.errors import Conflict, NotModified


class Status(StrEnum):
    """`State.Status` of the Engine API."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


_ALIVE = frozenset((Status.RUNNING, Status.PAUSED))
_GOING = frozenset((Status.REMOVING, Status.DEAD))

_ALLOWED: dict[str, frozenset[Status]] = {
    "start": frozenset((Status.CREATED, Status.EXITED, Status.RESTARTING)),
    "stop": frozenset((Status.RUNNING, Status.PAUSED, Status.RESTARTING)),
    "kill": frozenset((Status.RUNNING, Status.PAUSED, Status.RESTARTING)),
    "pause": frozenset((Status.RUNNING,)),
    "unpause": frozenset((Status.PAUSED,)),
    "exec": frozenset((Status.RUNNING,)),
    "top": frozenset((Status.RUNNING, Status.PAUSED)),
    "resize": frozenset((Status.RUNNING, Status.PAUSED)),
    "rename": frozenset(Status) - _GOING,
    "update": frozenset(Status) - _GOING,
    "commit": frozenset(Status) - _GOING,
}


def is_alive(status: Status) -> bool:
    """Whether the container's processes exist."""
    return status in _ALIVE


def check(verb: str, status: Status, who: str) -> None:
    """Let `verb` pass, or refuse it with Docker's words: `NotModified` where it is so already, `Conflict` else."""
    if status in _ALLOWED[verb]:
        return
    if status is Status.DEAD and verb == "start":
        raise Conflict("container is marked for removal and cannot be started")
    if status is Status.REMOVING and verb == "start":
        raise Conflict("container is marked for removal and cannot be started")
    if (verb == "start" and status is Status.RUNNING) or verb == "stop":
        raise NotModified(f"container {who} is already {'running' if verb == 'start' else 'stopped'}")
    raise Conflict(_refusal(verb, status, who))


def _refusal(verb: str, status: Status, who: str) -> str:
    match verb, status:
        case "start", Status.PAUSED:
            return "cannot start a paused container, try unpause instead"
        case "pause", Status.PAUSED:
            return f"container {who} is already paused"
        case "unpause", _:
            return f"container {who} is not paused"
        case "exec", Status.PAUSED:
            return f"container {who} is paused, unpause the container before exec"
        case _, Status.RESTARTING:
            return f"container {who} is restarting, wait until the container is running"
        case _:
            return f"container {who} is not running"
