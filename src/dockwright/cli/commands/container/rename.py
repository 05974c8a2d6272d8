"""`rename`: give a container another name."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import TWO, Command
from dockwright.client.calls import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    old, new = (name.strip() for name in arguments)
    if not old or not new:
        raise errors.Invalid("Error: Neither old nor new names may be empty")
    session.client.run(containers.rename(old, new))


COMMAND = Command(
    ("container rename", "rename"),
    "Give a container another name",
    "CONTAINER NEW_NAME",
    run,
    arguments=TWO,
    completes=("containers", ""),
)
