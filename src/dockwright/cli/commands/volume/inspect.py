"""`volume inspect`: everything the engine knows about volumes."""

from __future__ import annotations

from dockwright.cli.command import ONE_OR_MORE, Command
from dockwright.cli.display.inspection import FORMAT_HELP, show
from dockwright.cli.flags import Flag
from dockwright.client.calls import volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    show(session, arguments, lambda name: session.client.json(volumes.inspect(name)), options.text("format"))


COMMAND = Command(
    ("volume inspect",),
    "Show everything about one or more volumes",
    "[OPTIONS] VOLUME [VOLUME...]",
    run,
    arguments=ONE_OR_MORE,
    flags=(Flag("format", FORMAT_HELP, short="f"),),
    completes=("volumes",),
)
