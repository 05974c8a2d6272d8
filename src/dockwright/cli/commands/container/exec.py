"""`exec`: run a command in a container that runs."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import Arguments, Command
from dockwright.cli.flags import Flag
from dockwright.client.calls import containers, execs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def _environment_entry(text: str) -> str:
    from dockwright.cli.options.environment import entry

    return entry(text)


def run(session: Session, options: Options, arguments: list[str]) -> int:
    container, *command = arguments
    config = _config(session, options, command)
    # An engine creates an exec in a container that it then refuses to attach to: ask first, as Docker does.
    session.client.run(containers.inspect(container))
    if config["AttachStdin"] and config["Tty"]:
        from dockwright.cli.terminal.attached import check_terminal

        check_terminal(True, True)
    exec_id = session.client.json(execs.create(container, config))["Id"]
    if options.on("detach"):
        session.client.run(execs.start_detached(exec_id, tty=config["Tty"]))
        return 0
    return _joined(session, exec_id, config)


def _config(session: Session, options: Options, command: list[str]) -> dict[str, Any]:
    environment = options.many("env")
    if options.many("env-file"):
        from dockwright.cli.options.environment import read_files

        environment = read_files(options.many("env-file")) + environment
    attached = not options.on("detach")
    config: dict[str, Any] = {
        "User": options.text("user"),
        "Privileged": options.on("privileged"),
        "Tty": options.on("tty"),
        "AttachStdin": attached and options.on("interactive"),
        "AttachStdout": attached,
        "AttachStderr": attached,
        "DetachKeys": options.text("detach-keys") or session.config.text("detachKeys"),
        "Env": environment,
        "WorkingDir": options.text("workdir"),
        "Cmd": command,
    }
    if config["Tty"] and (size := _terminal_size()):
        config["ConsoleSize"] = [*size]
    return config


def _terminal_size() -> tuple[int, int] | None:
    from dockwright.cli.terminal.raw import size

    return size()


def _joined(session: Session, exec_id: str, config: dict[str, Any]) -> int:
    from dockwright.cli.terminal import join

    tty = config["Tty"]
    _, keys = join.chosen_keys(session, config["DetachKeys"])
    size = _terminal_size() if tty else None
    tell = join.resizer(
        session, lambda height, width: session.client.run(execs.resize(exec_id, height=height, width=width))
    )
    stream = session.client.hijack(execs.start(exec_id, tty=tty, console_size=size))
    joint = join.Joint(
        session,
        stream,
        tty=tty,
        stdin=config["AttachStdin"],
        detach_keys=keys,
        on_resize=tell if tty else None,
    )
    with joint.watch() as watch:
        if tty and tell is not None:
            tell()
        try:
            joint.run(watch)
        except join.Detached:
            raise errors.Invalid("exec attach failed: error on attach stdin: read escape sequence") from None
    return int(session.client.json(execs.inspect(exec_id))["ExitCode"] or 0)


COMMAND = Command(
    ("container exec", "exec"),
    "Run a command in a running container",
    "[OPTIONS] CONTAINER COMMAND [ARG...]",
    run,
    arguments=Arguments(2, None),
    interspersed=False,
    flags=(
        Flag("detach", "Let the command run on its own", short="d", kind="bool"),
        Flag("detach-keys", "Keys that leave the command running, instead of ctrl-p,ctrl-q"),
        Flag(
            "env",
            "Set an environment variable, NAME=VALUE or NAME to take over ours",
            short="e",
            kind="list",
            convert=_environment_entry,
        ),
        Flag("env-file", "Set the environment variables listed in this file", kind="list", complete="files"),
        Flag("interactive", "Send our standard input to the command", short="i", kind="bool"),
        Flag("privileged", "Give the command every capability", kind="bool"),
        Flag("tty", "Give the command a terminal", short="t", kind="bool"),
        Flag("user", "User to run as, NAME or UID, and :GROUP or :GID", short="u"),
        Flag("workdir", "Directory of the container to run in", short="w"),
    ),
    completes=("running", ""),
)
