"""`image prune`: remove images nobody needs."""

from __future__ import annotations

from dockwright.cli.command import NO_ARGUMENTS, Command
from dockwright.cli.display import units
from dockwright.cli.flags import Flag
from dockwright.client.calls import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session

DANGLING = "WARNING! This will remove all dangling images.\nAre you sure you want to continue?"
UNUSED = (
    "WARNING! This will remove all images without at least one container associated to them.\n"
    "Are you sure you want to continue?"
)


def run(session: Session, options: Options, arguments: list[str]) -> None:
    everything = options.on("all")
    if not options.on("force") and not session.confirmed(UNUSED if everything else DANGLING):
        return
    filters = {**options.filters(), "dangling": ["false" if everything else "true"]}
    found = session.client.json(images.prune(filters=filters))
    entries = found.get("ImagesDeleted") or []
    if entries:
        lines = [f"untagged: {e['Untagged']}" if e.get("Untagged") else f"deleted: {e['Deleted']}" for e in entries]
        session.out("Deleted Images:\n" + "".join(f"{line}\n" for line in lines) + "\n")
    session.line(f"Total reclaimed space: {units.size(found.get('SpaceReclaimed', 0))}")


COMMAND = Command(
    ("image prune",),
    "Remove images nobody needs",
    "[OPTIONS]",
    run,
    arguments=NO_ARGUMENTS,
    flags=(
        Flag("all", "Every image no container uses, not only those without a name", short="a", kind="bool"),
        Flag("filter", "Only images that match, e.g. until=24h or label=tier=db", kind="filter"),
        Flag("force", "Do not ask", short="f", kind="bool"),
    ),
)
