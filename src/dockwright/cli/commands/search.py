"""`search`: find images in a registry."""

from __future__ import annotations

from dockwright.cli.command import ONE, Command
from dockwright.cli.display import units
from dockwright.cli.display.listing import FORMAT_HELP, Listing
from dockwright.cli.flags import Flag
from dockwright.client.calls import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session

    Row = dict[str, Any]

COLUMNS = ("Name", "Description", "StarCount", "IsOfficial")
HEADERS = {
    "Name": "NAME",
    "Description": "DESCRIPTION",
    "StarCount": "STARS",
    "IsOfficial": "OFFICIAL",
}
_DESCRIPTION_WIDTH = 45


def listing(truncate: bool, json: bool) -> Listing:
    def description(row: Row) -> str:
        text = row.get("description", "").replace("\n", " ").replace("\r", " ")
        return units.ellipsis(text, _DESCRIPTION_WIDTH) if truncate else text

    def official(row: Row) -> str:
        if json:
            return "true" if row.get("is_official") else "false"
        return "[OK]" if row.get("is_official") else ""

    fields: dict[str, Callable[[Row], Any]] = {
        "Description": description,
        "IsOfficial": official,
        "Name": lambda row: row.get("name", ""),
        "StarCount": lambda row: str(row.get("star_count", 0)),
    }
    return Listing("*registry.searchContext", fields, HEADERS)


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.cli.registry_auth import header

    host, slash, _ = arguments[0].partition("/")
    registry = host if slash and ("." in host or ":" in host or host == "localhost") else ""
    call = images.search(
        arguments[0], limit=options.number("limit"), filters=options.filters(), auth=header(session, registry)
    )
    found = session.client.json(call) or []
    format = options.text("format")
    show = listing(not options.on("no-trunc"), format == "json" or "{{json" in format.replace(" ", ""))
    session.out(show.show(format, COLUMNS, found))


COMMAND = Command(
    ("search",),
    "Find images in a registry",
    "[OPTIONS] [REGISTRY/]TERM",
    run,
    arguments=ONE,
    flags=(
        Flag("filter", "Only images that match, e.g. is-official=true or stars=3", short="f", kind="filter"),
        Flag("format", FORMAT_HELP),
        Flag("limit", "How many at most; the engine's choice when it is 0", kind="int", default=0),
        Flag("no-trunc", "Full descriptions", kind="bool"),
    ),
)
