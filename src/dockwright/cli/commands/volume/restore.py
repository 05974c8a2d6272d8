"""`volume restore`: go back to a snapshot."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import ONE, Command
from dockwright.cli.flags import Flag
from dockwright.client.calls import volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    name, _, tag = arguments[0].partition("@")
    if not tag:
        raise errors.Invalid(f"{name}: say which snapshot: {name}@TAG")
    session.client.run(volumes.restore(name, tag, pause=not options.on("no-pause")))
    session.line(name)


COMMAND = Command(
    ("volume restore",),
    "Give a volume what a snapshot of it holds",
    "[OPTIONS] VOLUME@TAG",
    run,
    arguments=ONE,
    flags=(Flag("no-pause", "Leave the containers that use it running meanwhile", kind="bool"),),
    completes=("volumes",),
)
