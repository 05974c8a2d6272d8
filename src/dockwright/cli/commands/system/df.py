"""`system df`: what the engine keeps on disk."""

from __future__ import annotations

from dockwright.cli.command import NO_ARGUMENTS, Command
from dockwright.cli.flags import Flag
from dockwright.client.calls import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.cli.display import disk_usage

    found = session.client.json(system.disk_usage())
    format = options.text("format")
    if options.on("verbose"):
        session.out(disk_usage.verbose(found, format))
    else:
        session.out(disk_usage.LISTING.show(format, disk_usage.COLUMNS, disk_usage.summary(found)))


COMMAND = Command(
    ("system df",),
    "Show what the engine keeps on disk",
    "[OPTIONS]",
    run,
    arguments=NO_ARGUMENTS,
    flags=(
        Flag(
            "format",
            "How to print it: 'table', 'table TEMPLATE', 'json', or a Go TEMPLATE printed for each kind of thing",
        ),
        Flag("verbose", "Every image, container and volume", short="v", kind="bool"),
    ),
)
