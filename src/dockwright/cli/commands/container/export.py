"""`export`: a container's file system as a tar archive."""

from __future__ import annotations

from dockwright.cli.command import ONE, Command
from dockwright.cli.flags import Flag
from dockwright.client.calls import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.cli.archives import download

    download(session, containers.export(arguments[0]), options.text("output"), what="export container")


COMMAND = Command(
    ("container export", "export"),
    "Write the file system of a container as a tar archive",
    "[OPTIONS] CONTAINER",
    run,
    arguments=ONE,
    flags=(Flag("output", "Write to this file instead of standard output", short="o", complete="files"),),
    completes=("containers",),
)
