"""`volume export`: what a volume holds as a tar archive."""

from __future__ import annotations

from dockwright.cli.command import ONE, Command
from dockwright.cli.flags import Flag
from dockwright.client.calls import volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.cli.archives import download

    name, _, tag = arguments[0].partition("@")
    call = volumes.export(name, tag=tag, pause=not options.on("no-pause"))
    download(session, call, options.text("output"), what="export volume")


COMMAND = Command(
    ("volume export",),
    "Write what a volume, or a snapshot of it, holds as a tar archive",
    "[OPTIONS] VOLUME[@TAG]",
    run,
    arguments=ONE,
    flags=(
        Flag("no-pause", "Leave the containers that use it running meanwhile", kind="bool"),
        Flag("output", "Write to this file instead of standard output", short="o", complete="files"),
    ),
    completes=("volumes",),
)
