"""`builder prune`: delete cached build steps."""

from __future__ import annotations

from dockwright.cli.command import NO_ARGUMENTS, Command
from dockwright.cli.commands.builder.du import pretty, records
from dockwright.cli.display import units
from dockwright.cli.flags import Flag
from dockwright.client.calls import builds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session

DANGLING = "WARNING! This will remove all dangling build cache.\nAre you sure you want to continue?"
EVERYTHING = "WARNING! This will remove all build cache.\nAre you sure you want to continue?"


def run(session: Session, options: Options, arguments: list[str]) -> None:
    everything = options.on("all")
    if not options.on("force") and not session.confirmed(EVERYTHING if everything else DANGLING):
        return
    before = {row["ID"]: row for row in records(session)} if options.on("verbose") else {}
    call = builds.prune(
        all=everything,
        filters=options.filters(),
        reserved_bytes=options.number("reserved-space") or options.number("keep-storage"),
        max_used_bytes=options.number("max-used-space"),
        min_free_bytes=options.number("min-free-space"),
    )
    found = session.client.json(call)
    entries = found.get("CachesDeleted") or []
    if entries and before:
        session.out("".join(f"{pretty(before[entry])}\n" for entry in map(_bare, entries) if entry in before))
    elif entries:
        session.out("Deleted build cache objects:\n" + "".join(f"{entry}\n" for entry in entries) + "\n")
    session.line(f"Total reclaimed space: {units.size(found.get('SpaceReclaimed', 0))}")


def _bare(entry: str) -> str:
    """Without the algorithm of a digest, as `/system/df` has it."""
    return entry.rpartition(":")[2]


COMMAND = Command(
    ("builder prune",),
    "Delete cached build steps",
    "[OPTIONS]",
    run,
    arguments=NO_ARGUMENTS,
    flags=(
        Flag("all", "What images are made of, too", short="a", kind="bool"),
        Flag("filter", "Only what matches, e.g. until=24h", kind="filter"),
        Flag("force", "Do not ask", short="f", kind="bool"),
        Flag("keep-storage", "The old name of --reserved-space", kind="bytes", default=0),
        Flag("max-used-space", "Delete until no more than this is used", kind="bytes", default=0),
        Flag("min-free-space", "Delete until this much of the disk is free", kind="bytes", default=0),
        Flag("reserved-space", "Leave this much in any case", kind="bytes", default=0),
        Flag("verbose", "All about each that is deleted", kind="bool"),
    ),
)
