"""`volume clone`: a new volume with what another holds."""

from __future__ import annotations

from dockwright.cli.command import TWO, Command
from dockwright.cli.flags import Flag
from dockwright.client.calls import volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    name, _, tag = arguments[0].partition("@")
    call = volumes.clone(name, arguments[1], tag=tag, pause=not options.on("no-pause"))
    session.line(session.client.json(call)["Name"])


COMMAND = Command(
    ("volume clone",),
    "Make a volume with what another, or a snapshot of it, holds",
    "[OPTIONS] VOLUME[@TAG] NEW_VOLUME",
    run,
    arguments=TWO,
    flags=(Flag("no-pause", "Leave the containers that use it running meanwhile", kind="bool"),),
    completes=("volumes",),
)
