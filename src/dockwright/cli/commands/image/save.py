"""`save`: images as a tar archive."""

from __future__ import annotations

from dockwright.cli.command import ONE_OR_MORE, Command
from dockwright.cli.flags import Flag
from dockwright.client.calls import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.cli.archives import download
    from dockwright.cli.platforms import all_as_json

    call = images.save(arguments, platforms=all_as_json(options.many("platform")))
    download(session, call, options.text("output"), what="save image")


COMMAND = Command(
    ("image save", "save"),
    "Write images as a tar archive, to standard output unless told otherwise",
    "[OPTIONS] IMAGE [IMAGE...]",
    run,
    arguments=ONE_OR_MORE,
    flags=(
        Flag("output", "Write to this file instead of standard output", short="o", complete="files"),
        Flag("platform", "Only these platforms of images that have several", kind="stringSlice", since="1.48"),
    ),
    completes=("images",),
)
