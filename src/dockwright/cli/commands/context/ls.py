"""`context ls`: the engines we know by name."""

from __future__ import annotations

import os

from dockwright import errors
from dockwright.cli.command import NO_ARGUMENTS, Command
from dockwright.cli.display import units
from dockwright.cli.display.listing import FORMAT_HELP, Listing
from dockwright.cli.flags import Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session

COLUMNS = ("Name", "Description", "DockerEndpoint", "Error")
DEFAULT_DESCRIPTION = "Current DOCKER_HOST based configuration"


class Row:
    """One context in the list."""

    def __init__(self, name: str, current: bool, description: str = "", host: str = "", error: str = "") -> None:
        self.name = name
        self.current = current
        self.description = description
        self.host = host
        self.error = error


def _listing(marked: bool) -> Listing:
    return Listing(
        "*formatter.clientContextContext",
        {
            "Current": lambda row: row.current,
            "Description": lambda row: row.description,
            "DockerEndpoint": lambda row: row.host,
            "Error": lambda row: units.ellipsis(row.error, 45),
            "Name": lambda row: f"{row.name} *" if marked and row.current else row.name,
        },
        {
            "Current": "CURRENT",
            "Description": "DESCRIPTION",
            "DockerEndpoint": "DOCKER ENDPOINT",
            "Error": "ERROR",
            "Name": "NAME",
        },
    )


def run(session: Session, options: Options, arguments: list[str]) -> None:
    rows = _rows(session)
    if options.on("quiet"):
        session.out("".join(f"{row.name}\n" for row in rows))
        return
    format = options.text("format")
    session.out(_listing(marked=format in ("", "table")).show(format, COLUMNS, rows))
    if os.environ.get("DOCKER_HOST") and not session.context:
        session.error(
            "Warning: DOCKER_HOST environment variable overrides the active context. To use a context, either set "
            "the global --context flag, or unset DOCKER_HOST environment variable."
        )


def _rows(session: Session) -> list[Row]:
    from dockwright.client.contexts import Store
    from dockwright.client.endpoint import context_name, default_endpoint

    store = Store(session.config.directory)
    current = context_name(session.config, session.host, session.context)
    names = store.names()
    host = default_endpoint(session.config, session.host).url
    rows = []
    for name in sorted({*names, current, "default"}):
        if name == "default":
            rows.append(Row(name, name == current, DEFAULT_DESCRIPTION, host))
            continue
        try:
            context = store.get(name)
            rows.append(Row(name, name == current, context.description, context.host))
        except errors.DockwrightError as error:
            rows.append(Row(name, name == current, error=str(error)))
    return rows


COMMAND = Command(
    ("context ls", "context list"),
    "List the engines known by name",
    "[OPTIONS]",
    run,
    arguments=NO_ARGUMENTS,
    flags=(Flag("format", FORMAT_HELP), Flag("quiet", "Names only", short="q", kind="bool")),
)
