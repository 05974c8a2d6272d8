"""`network inspect`: everything the engine knows about networks."""

from __future__ import annotations

from dockwright.cli.command import ONE_OR_MORE, Command
from dockwright.cli.display.inspection import FORMAT_HELP, show
from dockwright.cli.flags import Flag
from dockwright.client.calls import networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    verbose = options.on("verbose")
    show(
        session,
        arguments,
        lambda name: session.client.json(networks.inspect(name, verbose=verbose)),
        options.text("format"),
    )


COMMAND = Command(
    ("network inspect",),
    "Show everything about one or more networks",
    "[OPTIONS] NETWORK [NETWORK...]",
    run,
    arguments=ONE_OR_MORE,
    flags=(
        Flag("format", FORMAT_HELP, short="f"),
        Flag("verbose", "More, for looking for faults", short="v", kind="bool"),
    ),
    completes=("networks",),
)
