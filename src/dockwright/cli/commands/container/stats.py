"""`stats`: what containers use, drawn anew as it changes."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import ANY_NUMBER, Command
from dockwright.cli.display.listing import FORMAT_HELP, Listing
from dockwright.cli.flags import Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session

COLUMNS = ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs")
HEADERS = {
    "Container": "CONTAINER",
    "ID": "CONTAINER ID",
    "Name": "NAME",
    "CPUPerc": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT",
    "MemPerc": "MEM %",
    "NetIO": "NET I/O",
    "BlockIO": "BLOCK I/O",
    "PIDs": "PIDS",
}


def listing(truncate: bool) -> Listing:
    from dockwright.cli.display import units

    def io(read: float, written: float) -> str:
        return f"{units.size(read, 3)} / {units.size(written, 3)}"

    fields = {
        "BlockIO": lambda row: io(row.block_read, row.block_written) if row.valid else "-- / --",
        "CPUPerc": lambda row: f"{row.cpu_percent:.2f}%" if row.valid else "--",
        "Container": lambda row: row.container,
        "ID": lambda row: units.short_id(row.id) if truncate else row.id,
        "MemPerc": lambda row: f"{row.memory_percent:.2f}%" if row.valid else "--",
        "MemUsage": lambda row: (
            f"{units.binary_size(row.memory)} / {units.binary_size(row.memory_limit)}" if row.valid else "-- / --"
        ),
        "Name": lambda row: row.name or "--",
        "NetIO": lambda row: io(row.received, row.sent) if row.valid else "--",
        "PIDs": lambda row: str(row.pids) if row.valid else "--",
    }
    return Listing("*container.statsContext", fields, HEADERS)


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.cli.stats import Watcher

    if arguments and options.on("all"):
        raise errors.Invalid("cannot specify both --all and container names")
    format = options.text("format") or session.config.text("statsFormat")
    show = listing(not options.on("no-trunc"))
    watcher = Watcher(session, arguments, everything=options.on("all"))
    if options.on("no-stream"):
        session.out(show.show(format, COLUMNS, watcher.once()))
        return
    for rows in watcher.follow():
        # Home, then each line cleared to its end, then everything below: no flicker.
        text = show.show(format, COLUMNS, rows).replace("\n", "\x1b[K\n")
        session.out(f"\x1b[H{text}\x1b[J")


COMMAND = Command(
    ("container stats", "stats"),
    "Show what containers use of CPU, memory, network and disk, as it changes",
    "[OPTIONS] [CONTAINER...]",
    run,
    arguments=ANY_NUMBER,
    flags=(
        Flag("all", "Stopped containers too, not only those that run", short="a", kind="bool"),
        Flag("format", FORMAT_HELP),
        Flag("no-stream", "Print once and quit", kind="bool"),
        Flag("no-trunc", "Full ids", kind="bool"),
    ),
    completes=("running",),
)
