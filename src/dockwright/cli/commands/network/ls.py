"""`network ls`: a table of networks."""

from __future__ import annotations

from dockwright.cli.command import NO_ARGUMENTS, Command
from dockwright.cli.display import units
from dockwright.cli.display.listing import FORMAT_HELP, Listing, mapping
from dockwright.cli.flags import Flag
from dockwright.client.calls import networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session

    Row = dict[str, Any]

COLUMNS = ("ID", "Name", "Driver", "Scope")
HEADERS = {
    "ID": "NETWORK ID",
    "Name": "NAME",
    "Driver": "DRIVER",
    "Scope": "SCOPE",
    "IPv4": "IPV4",
    "IPv6": "IPV6",
    "Internal": "INTERNAL",
    "Labels": "LABELS",
    "CreatedAt": "CREATED AT",
}


def listing(truncate: bool) -> Listing:
    """What a row of `network ls` can show."""
    fields = {
        "CreatedAt": lambda row: _clock(row.get("Created", "")),
        "Driver": lambda row: row["Driver"],
        "ID": lambda row: units.short_id(row["Id"]) if truncate else row["Id"],
        "IPv4": lambda row: _boolean(row.get("EnableIPv4", True)),
        "IPv6": lambda row: _boolean(row.get("EnableIPv6", False)),
        "Internal": lambda row: _boolean(row.get("Internal", False)),
        "Labels": lambda row: mapping(row.get("Labels")),
        "Name": lambda row: row["Name"],
        "Scope": lambda row: row["Scope"],
    }
    raw = "network_id: {{.ID}}\nname: {{.Name}}\ndriver: {{.Driver}}\nscope: {{.Scope}}\n"
    methods = {"Label": lambda row, name: (row.get("Labels") or {}).get(name, "")}
    return Listing("*network.networkContext", fields, HEADERS, methods=methods, raw=raw)


def _clock(text: str) -> str:
    """A time of the API as Go prints one: `2026-01-02 15:04:05.123 +0000 UTC`."""
    return f"{text[:10]} {text[11:-1]} +0000 UTC" if text.endswith("Z") else text


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def run(session: Session, options: Options, arguments: list[str]) -> None:
    found = session.client.json(networks.list(filters=options.filters())) or []
    rows = sorted(found, key=lambda row: (str(row["Name"]).lower(), str(row["Name"])))
    show = listing(not options.on("no-trunc"))
    format = options.text("format")
    if options.on("quiet") and not format:
        session.out("".join(f"{show.fields['ID'](row)}\n" for row in rows))
        return
    session.out(show.show(format or session.config.text("networksFormat"), COLUMNS, rows))


COMMAND = Command(
    ("network ls", "network list"),
    "List networks",
    "[OPTIONS]",
    run,
    arguments=NO_ARGUMENTS,
    flags=(
        Flag(
            "filter",
            "Only networks that match, e.g. driver=bridge, type=custom, label=tier=db",
            short="f",
            kind="filter",
        ),
        Flag("format", FORMAT_HELP),
        Flag("no-trunc", "Full ids", kind="bool"),
        Flag("quiet", "Ids only", short="q", kind="bool"),
    ),
)
