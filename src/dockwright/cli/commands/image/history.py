"""`history`: the layers of an image and what made them."""

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

COLUMNS = ("ID", "CreatedSince", "CreatedBy", "Size", "Comment")
HEADERS = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}


def listing(truncate: bool, human: bool) -> Listing:
    def made_by(row: Row) -> str:
        text = row.get("CreatedBy", "").replace("\t", " ")
        return units.ellipsis(text, 45) if truncate else text

    def since(row: Row) -> str:
        if not human:
            return units.rfc3339(row["Created"])
        return "N/A" if row["Created"] <= -62135596800 else units.since(row["Created"])

    fields: dict[str, Callable[[Row], Any]] = {
        "Comment": lambda row: row.get("Comment", ""),
        "CreatedAt": lambda row: units.rfc3339(row["Created"]),
        "CreatedBy": made_by,
        "CreatedSince": since,
        "ID": lambda row: units.short_id(row["Id"]) if truncate and row["Id"].startswith("sha256:") else row["Id"],
        "Size": lambda row: units.size(row["Size"], 3) if human else str(row["Size"]),
    }
    headers = HEADERS if human else {**HEADERS, "CreatedSince": HEADERS["CreatedAt"]}
    return Listing("*formatter.historyContext", fields, headers)


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.cli.platforms import as_json

    found = session.client.json(images.history(arguments[0], platform=as_json(options.text("platform"))))
    show = listing(not options.on("no-trunc"), options.on("human"))
    if options.on("quiet"):
        session.out("".join(f"{show.fields['ID'](row)}\n" for row in found))
        return
    session.out(show.show(options.text("format"), COLUMNS, found))


COMMAND = Command(
    ("image history", "history"),
    "Show the layers of an image and what made them",
    "[OPTIONS] IMAGE",
    run,
    arguments=ONE,
    flags=(
        Flag("format", FORMAT_HELP),
        Flag("human", "Sizes and times for people", short="H", kind="bool", default=True),
        Flag("no-trunc", "Full ids and commands", kind="bool"),
        Flag("platform", "Platform of an image that has several, e.g. linux/arm64", since="1.48"),
        Flag("quiet", "Ids only", short="q", kind="bool"),
    ),
    completes=("images",),
)
