"""`stop`: ask a container to end, and end it when it does not."""

from __future__ import annotations

from dockwright.cli import many
from dockwright.cli.command import ONE_OR_MORE, Command
from dockwright.cli.flags import Flag
from dockwright.client.calls import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session

FLAGS = (
    Flag("signal", "Signal to ask with, instead of the container's own", short="s", since="1.42"),
    Flag(
        "timeout", "Seconds to wait before the container is killed; -1 waits for ever", short="t", kind="int", default=0
    ),
)


def timeout_s(options: Options) -> int | None:
    """The timeout asked for; `None` where it is left to the container."""
    return options.number("timeout") if options.given("timeout") else None


def run(session: Session, options: Options, arguments: list[str]) -> None:
    many.together(
        session,
        arguments,
        lambda name: containers.stop(name, signal=options.text("signal"), timeout_s=timeout_s(options)),
    )


COMMAND = Command(
    ("container stop", "stop"),
    "Stop one or more running containers",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    run,
    arguments=ONE_OR_MORE,
    flags=FLAGS,
    completes=("running",),
)
