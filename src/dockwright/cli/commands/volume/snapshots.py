"""`volume snapshots`: a table of the snapshots of volumes."""

from __future__ import annotations

from dockwright.cli.command import ANY_NUMBER, Command
from dockwright.cli.display import units
from dockwright.cli.display.listing import FORMAT_HELP, Listing
from dockwright.cli.flags import Flag
from dockwright.client.calls import volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


LISTING = Listing(
    "*formatter.volumeSnapshotContext",
    {
        "CreatedAt": lambda row: row["CreatedAt"],
        "CreatedSince": lambda row: units.since(units.epoch(row["CreatedAt"])),
        "Name": lambda row: f"{row['Volume']}@{row['Tag']}",
        "Size": lambda row: units.size(row["Size"], 3),
        "Tag": lambda row: row["Tag"],
        "Volume": lambda row: row["Volume"],
    },
    {
        "CreatedAt": "CREATED AT",
        "CreatedSince": "CREATED",
        "Name": "SNAPSHOT",
        "Size": "SIZE",
        "Tag": "TAG",
        "Volume": "VOLUME NAME",
    },
)


def run(session: Session, options: Options, arguments: list[str]) -> None:
    names = arguments or [row["Name"] for row in session.client.json(volumes.list()).get("Volumes") or ()]
    rows = [row for name in names for row in session.client.json(volumes.snapshots(name))]
    if options.on("quiet"):
        session.out("".join(f"{row['Volume']}@{row['Tag']}\n" for row in rows))
        return
    session.out(LISTING.show(options.text("format"), ("Volume", "Tag", "CreatedSince", "Size"), rows))


COMMAND = Command(
    ("volume snapshots",),
    "List the snapshots of volumes",
    "[OPTIONS] [VOLUME...]",
    run,
    arguments=ANY_NUMBER,
    flags=(Flag("format", FORMAT_HELP), Flag("quiet", "VOLUME@TAG only", short="q", kind="bool")),
    completes=("volumes",),
)
