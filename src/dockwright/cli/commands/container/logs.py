"""`logs`: what a container has written, and goes on writing."""

from __future__ import annotations

from dockwright.cli.command import ONE, Command
from dockwright.cli.flags import Flag
from dockwright.client.calls import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.cli.terminal.join import Output

    found = session.client.json(containers.inspect(arguments[0]))
    call = containers.logs(
        found["Id"],
        follow=options.on("follow"),
        since=_moment(options, "since"),
        until=_moment(options, "until"),
        tail=options.text("tail"),
        timestamps=options.on("timestamps"),
        details=options.on("details"),
    )
    output = Output(session, tty=found["Config"]["Tty"])
    for piece in session.client.send(call):
        output.feed(piece)


def _moment(options: Options, name: str) -> str:
    if not options.text(name):
        return ""
    from dockwright.cli.moments import epoch_text

    return epoch_text(options.text(name), name)


COMMAND = Command(
    ("container logs", "logs"),
    "Show what a container has written",
    "[OPTIONS] CONTAINER",
    run,
    arguments=ONE,
    flags=(
        Flag("details", "Print the extra attributes the log driver keeps with each line", kind="bool"),
        Flag("follow", "Go on printing as the container writes", short="f", kind="bool"),
        Flag("since", 'Only what was written after this time ("2026-01-02T13:23:37Z") or this long ago ("42m")'),
        Flag("tail", "Only the last lines, this many", short="n", default="all"),
        Flag("timestamps", "Print when each line was written", short="t", kind="bool"),
        Flag(
            "until",
            'Only what was written before this time ("2026-01-02T13:23:37Z") or this long ago ("42m")',
            since="1.35",
        ),
    ),
    completes=("containers",),
)
