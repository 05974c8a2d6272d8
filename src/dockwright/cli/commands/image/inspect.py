"""`image inspect`: everything the engine knows about images."""

from __future__ import annotations

from dockwright.cli.command import ONE_OR_MORE, Command
from dockwright.cli.display.inspection import FORMAT_HELP, show
from dockwright.cli.flags import Flag
from dockwright.client.calls import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.cli.platforms import as_json

    platform = as_json(options.text("platform"))
    show(
        session,
        arguments,
        lambda name: session.client.json(images.inspect(name, platform=platform)),
        options.text("format"),
    )


COMMAND = Command(
    ("image inspect",),
    "Show everything about one or more images",
    "[OPTIONS] IMAGE [IMAGE...]",
    run,
    arguments=ONE_OR_MORE,
    flags=(
        Flag("format", FORMAT_HELP, short="f"),
        Flag("platform", "Platform of an image that has several, e.g. linux/arm64", since="1.49"),
    ),
    completes=("images",),
)
