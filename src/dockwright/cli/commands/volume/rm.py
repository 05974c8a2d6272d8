"""`volume rm`: remove volumes, and snapshots of volumes."""

from __future__ import annotations

from dockwright.cli.command import ONE_OR_MORE, Command
from dockwright.cli.flags import Flag
from dockwright.cli.many import one_by_one
from dockwright.client.calls import volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    force = options.on("force")

    def remove(reference: str) -> None:
        name, at, tag = reference.partition("@")
        session.client.run(volumes.remove_snapshot(name, tag) if at else volumes.remove(name, force=force))

    one_by_one(session, arguments, remove)


COMMAND = Command(
    ("volume rm", "volume remove"),
    "Remove one or more volumes, or snapshots of them",
    "[OPTIONS] VOLUME[@TAG] [VOLUME[@TAG]...]",
    run,
    arguments=ONE_OR_MORE,
    flags=(
        Flag(
            "force",
            "One whose plugin has gone, too; one that does not exist is no error",
            short="f",
            kind="bool",
            since="1.25",
        ),
    ),
    about="A volume that a container refers to, or that has snapshots, is never removed. VOLUME@TAG is one of its snapshots.",
    completes=("volumes",),
)
