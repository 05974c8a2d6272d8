"""`start`: start containers that exist, and perhaps attach to one of them."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import ONE_OR_MORE, Command, ExitStatus
from dockwright.cli.flags import Flag
from dockwright.cli.main import describe
from dockwright.client.calls import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session
    from dockwright.client.call import Call


def run(session: Session, options: Options, arguments: list[str]) -> int:
    if options.on("attach") or options.on("interactive"):
        if len(arguments) > 1:
            raise errors.Invalid("you cannot start and attach multiple containers at once")
        return _attached(session, options, arguments[0])
    if options.given("checkpoint") and len(arguments) > 1:
        raise errors.Invalid("you cannot restore multiple containers at once")
    failed = []
    for name in arguments:
        try:
            session.client.run(_call(name, options))
        except errors.DockwrightError as error:
            session.error(describe(error))
            failed.append(name)
        else:
            session.line(name)
    if failed:
        raise ExitStatus(1, f"Error: failed to start containers: {', '.join(failed)}")
    return 0


def _call(container: str, options: Options) -> Call:
    return containers.start(
        container,
        detach_keys=options.text("detach-keys"),
        checkpoint=options.text("checkpoint"),
        checkpoint_dir=options.text("checkpoint-dir"),
    )


def _attached(session: Session, options: Options, name: str) -> int:
    from dockwright.cli.terminal.attached import Attachment, join_started

    found = session.client.json(containers.inspect(name))
    attachment = Attachment(
        found["Id"],
        tty=found["Config"]["Tty"],
        stdin=options.on("interactive") and found["Config"]["OpenStdin"],
        detach_keys=options.text("detach-keys"),
        auto_remove=found["HostConfig"]["AutoRemove"],
        proxy_signals=not found["Config"]["Tty"],
    )
    return join_started(session, attachment, lambda: session.client.run(_call(found["Id"], options)))


COMMAND = Command(
    ("container start", "start"),
    "Start one or more stopped containers",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    run,
    arguments=ONE_OR_MORE,
    flags=(
        Flag("attach", "Print what the container writes and hand signals on to it", short="a", kind="bool"),
        Flag("checkpoint", "Restore the container from this checkpoint", hidden=True),
        Flag("checkpoint-dir", "Directory of the engine's host where that checkpoint is", hidden=True),
        Flag("detach-keys", "Keys that leave the container running, instead of ctrl-p,ctrl-q"),
        Flag("interactive", "Send our standard input to the container", short="i", kind="bool"),
    ),
    completes=("containers",),
)
