"""`builder prune`: delete cached build steps."""

from __future__ import annotations

from dockwright.cli.command import NO_ARGUMENTS, Command
from dockwright.cli.display import units
from dockwright.cli.flags import Flag
from dockwright.client.calls import builds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session

STEPS = "WARNING! This will remove all cached build steps.\nAre you sure you want to continue?"
EVERYTHING = "WARNING! This will remove all cached build steps and cache mounts.\nAre you sure you want to continue?"


def run(session: Session, options: Options, arguments: list[str]) -> None:
    everything = options.on("all")
    if not options.on("force") and not session.confirmed(EVERYTHING if everything else STEPS):
        return
    call = builds.prune(all=everything, keep_bytes=options.number("keep-storage"), filters=options.filters())
    found = session.client.json(call)
    entries = found.get("CachesDeleted") or []
    if entries:
        session.out("Deleted build cache objects:\n" + "".join(f"{entry}\n" for entry in entries) + "\n")
    session.line(f"Total reclaimed space: {units.size(found.get('SpaceReclaimed', 0))}")


COMMAND = Command(
    ("builder prune",),
    "Delete cached build steps",
    "[OPTIONS]",
    run,
    arguments=NO_ARGUMENTS,
    flags=(
        Flag("all", "Cache mounts too", short="a", kind="bool"),
        Flag("filter", "Only what matches, e.g. until=24h", kind="filter"),
        Flag("force", "Do not ask", short="f", kind="bool"),
        Flag("keep-storage", "Leave this much", kind="bytes", default=0),
    ),
)
