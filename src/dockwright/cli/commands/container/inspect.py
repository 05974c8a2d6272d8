"""`container inspect`: everything the engine knows about containers."""

from __future__ import annotations

from dockwright.cli.command import ONE_OR_MORE, Command
from dockwright.cli.display.inspection import FORMAT_HELP, show
from dockwright.cli.flags import Flag
from dockwright.client.calls import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    show(
        session,
        arguments,
        lambda name: session.client.json(containers.inspect(name, size=options.on("size"))),
        options.text("format"),
    )


COMMAND = Command(
    ("container inspect",),
    "Show everything about one or more containers",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    run,
    arguments=ONE_OR_MORE,
    flags=(
        Flag("format", FORMAT_HELP, short="f"),
        Flag("size", "What the container takes on disk too", short="s", kind="bool"),
    ),
    completes=("containers",),
)
