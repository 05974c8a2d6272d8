"""`restart`: stop a container and start it again."""

from __future__ import annotations

from dockwright.cli import many
from dockwright.cli.command import ONE_OR_MORE, Command
from dockwright.cli.commands.container.stop import FLAGS, timeout_s
from dockwright.client.calls import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    many.one_by_one(
        session,
        arguments,
        lambda name: session.client.run(
            containers.restart(name, signal=options.text("signal"), timeout_s=timeout_s(options))
        ),
    )


COMMAND = Command(
    ("container restart", "restart"),
    "Stop and start one or more containers",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    run,
    arguments=ONE_OR_MORE,
    flags=FLAGS,
    completes=("containers",),
)
