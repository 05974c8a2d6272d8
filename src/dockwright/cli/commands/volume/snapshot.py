"""`volume snapshot`: keep what volumes hold now."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import ONE_OR_MORE, Command
from dockwright.cli.flags import Flag
from dockwright.cli.many import one_by_one
from dockwright.client.calls import volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    def snapshot(reference: str) -> None:
        name, _, tag = reference.partition("@")
        if not tag:
            raise errors.Invalid(f"{reference}: say what to call the snapshot: {name}@TAG")
        session.client.run(volumes.snapshot(name, tag, pause=not options.on("no-pause")))

    one_by_one(session, arguments, snapshot)


COMMAND = Command(
    ("volume snapshot",),
    "Keep what one or more volumes hold now",
    "[OPTIONS] VOLUME@TAG [VOLUME@TAG...]",
    run,
    arguments=ONE_OR_MORE,
    flags=(Flag("no-pause", "Leave the containers that use it running meanwhile", kind="bool"),),
    about="'volume snapshots' lists them, 'volume restore' goes back to one, 'volume rm VOLUME@TAG' removes one.",
    completes=("volumes",),
)
