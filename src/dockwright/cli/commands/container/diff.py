"""`diff`: what a container changed in its file system."""

from __future__ import annotations

from dockwright.cli.command import ONE, Command
from dockwright.client.calls import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session

_KINDS = {0: "C", 1: "A", 2: "D"}


def run(session: Session, options: Options, arguments: list[str]) -> None:
    changes = session.client.json(containers.changes(arguments[0])) or []
    session.out("".join(f"{_KINDS.get(change['Kind'], '?')} {change['Path']}\n" for change in changes))


COMMAND = Command(
    ("container diff", "diff"),
    "Show what a container added (A), changed (C) and deleted (D) in its file system",
    "CONTAINER",
    run,
    arguments=ONE,
    completes=("containers",),
)
