"""`volume import`: a volume with what a tar archive holds."""

from __future__ import annotations

from dockwright.cli.command import ONE, Command
from dockwright.cli.flags import Flag
from dockwright.client.calls import volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.cli.archives import upload

    call = volumes.import_archive(
        arguments[0],
        upload(options.text("input"), what="import"),
        replace=options.on("replace"),
        pause=not options.on("no-pause"),
    )
    session.line(session.client.json(call)["Name"])


COMMAND = Command(
    ("volume import",),
    "Give a volume what a tar archive holds; it is made where there is none",
    "[OPTIONS] VOLUME",
    run,
    arguments=ONE,
    flags=(
        Flag("input", "Read this file instead of standard input", short="i", complete="files"),
        Flag("no-pause", "Leave the containers that use it running meanwhile", kind="bool"),
        Flag("replace", "Even where the volume holds something, which is gone then", kind="bool"),
    ),
    completes=("volumes",),
)
