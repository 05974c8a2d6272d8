"""`load`: images out of a tar archive."""

from __future__ import annotations

from dockwright.cli.command import NO_ARGUMENTS, Command
from dockwright.cli.flags import Flag
from dockwright.client.calls import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.cli.archives import upload
    from dockwright.cli.display.progress import show
    from dockwright.cli.platforms import all_as_json
    from dockwright.cli.terminal.raw import size

    quiet = options.on("quiet") or size() is None
    body = upload(options.text("input"), what="load")
    call = images.load(body, quiet=quiet, platforms=all_as_json(options.many("platform")))
    show(session, session.client.send(call).values())


COMMAND = Command(
    ("image load", "load"),
    "Bring images in from a tar archive, standard input unless told otherwise",
    "[OPTIONS]",
    run,
    arguments=NO_ARGUMENTS,
    flags=(
        Flag("input", "Read from this file instead of standard input", short="i", complete="files"),
        Flag("platform", "Only these platforms of images that have several", kind="stringSlice", since="1.48"),
        Flag("quiet", "Do not show the layers", short="q", kind="bool"),
    ),
)
