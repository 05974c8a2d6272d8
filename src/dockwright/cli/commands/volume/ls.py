"""`volume ls`: a table of volumes."""

from __future__ import annotations

from dockwright.cli.command import NO_ARGUMENTS, Command
from dockwright.cli.display import units
from dockwright.cli.display.listing import FORMAT_HELP, Listing, mapping
from dockwright.cli.flags import Flag
from dockwright.client.calls import volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session

    Row = dict[str, Any]


def _usage(key: str, show: Callable[[int], str]) -> Callable[[Row], str]:
    return lambda row: show((row.get("UsageData") or {}).get(key, -1)) if row.get("UsageData") else "N/A"


def _cluster(*keys: str) -> Callable[[Row], str]:
    def field(row: Row) -> str:
        found: Any = row.get("ClusterVolume")
        if not found:
            return "N/A"
        for key in keys:
            found = (found or {}).get(key)
        return str(found or "")

    return field


LISTING = Listing(
    "*formatter.volumeContext",
    {
        "Availability": _cluster("Spec", "Availability"),
        "Driver": lambda row: row.get("Driver", ""),
        "Group": _cluster("Spec", "Group"),
        "Labels": lambda row: mapping(row.get("Labels")),
        "Links": _usage("RefCount", str),
        "Mountpoint": lambda row: row.get("Mountpoint", ""),
        "Name": lambda row: row["Name"],
        "Scope": lambda row: row.get("Scope", ""),
        "Size": _usage("Size", lambda size: units.size(size, 3)),
        "Status": _cluster("Info", "VolumeID"),
    },
    {
        "Availability": "AVAILABILITY",
        "Driver": "DRIVER",
        "Group": "GROUP",
        "Labels": "LABELS",
        "Links": "LINKS",
        "Mountpoint": "MOUNTPOINT",
        "Name": "VOLUME NAME",
        "Scope": "SCOPE",
        "Size": "SIZE",
        "Status": "STATUS",
    },
    methods={"Label": lambda row, name: (row.get("Labels") or {}).get(name, "")},
    raw="name: {{.Name}}\ndriver: {{.Driver}}\n",
)


def natural(text: str) -> list[tuple[bool, int, str]]:
    """A key that sorts v2 before v10."""
    parts: list[str] = []
    for letter in text:
        if parts and parts[-1].isdigit() == letter.isdigit():
            parts[-1] += letter
        else:
            parts.append(letter)
    return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]


def run(session: Session, options: Options, arguments: list[str]) -> None:
    format, quiet = options.text("format"), options.on("quiet")
    rows = session.client.json(volumes.list(filters=options.filters())).get("Volumes") or []
    columns: tuple[str, ...] = ("Driver", "Name")
    if options.on("cluster"):
        rows = [row for row in rows if row.get("ClusterVolume")]
        columns = ("Name", "Group", "Driver", "Availability", "Status")
    rows.sort(key=lambda row: natural(row["Name"]))
    if quiet:
        session.out("".join(f"{row['Name']}\n" for row in rows))
        return
    session.out(LISTING.show(format or session.config.text("volumesFormat"), columns, rows))


COMMAND = Command(
    ("volume ls", "volume list"),
    "List volumes",
    "[OPTIONS]",
    run,
    arguments=NO_ARGUMENTS,
    flags=(
        Flag("cluster", "Cluster volumes only, with what is special about them", kind="bool", since="1.42"),
        Flag(
            "filter",
            "Only volumes that match, e.g. dangling=true, driver=local, label=tier=db, name=data",
            short="f",
            kind="filter",
        ),
        Flag("format", FORMAT_HELP),
        Flag("quiet", "Names only", short="q", kind="bool"),
    ),
)
