"""`container prune`: remove every container that does not run."""

from __future__ import annotations

from dockwright.cli.command import NO_ARGUMENTS, Command
from dockwright.cli.display import units
from dockwright.cli.flags import Flag
from dockwright.client.calls import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session

WARNING = "WARNING! This will remove all stopped containers.\nAre you sure you want to continue?"


def run(session: Session, options: Options, arguments: list[str]) -> None:
    if not options.on("force") and not session.confirmed(WARNING):
        return
    found = session.client.json(containers.prune(filters=options.filters()))
    deleted = found.get("ContainersDeleted") or []
    if deleted:
        session.out("Deleted Containers:\n" + "".join(f"{name}\n" for name in deleted) + "\n")
    session.line(f"Total reclaimed space: {units.size(found.get('SpaceReclaimed', 0))}")


COMMAND = Command(
    ("container prune",),
    "Remove all stopped containers",
    "[OPTIONS]",
    run,
    arguments=NO_ARGUMENTS,
    flags=(
        Flag("filter", "Only containers that match, e.g. until=24h or label=tier=db", kind="filter"),
        Flag("force", "Do not ask", short="f", kind="bool"),
    ),
)
