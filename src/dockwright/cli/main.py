"""The `dockwright` program: global options, then one command, then an exit status.

Start-up time is decided by imports: this file and what it imports stay light, `tests/unit/cli/test_startup.py` holds it.
"""

from __future__ import annotations

import os
import sys

from dockwright import errors
from dockwright.cli import index
from dockwright.cli.command import PROGRAM, ExitStatus
from dockwright.cli.flags import Flag, HelpWanted, Options, Parser, UsageError
from dockwright.cli.session import OutputClosed, Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from dockwright.cli.command import Command
    from dockwright.client.endpoint import Tls

_LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
_SIGPIPE_STATUS = 141
_SIGINT_STATUS = 130


def _config_dir() -> str:
    from dockwright.client.config import default_dir

    return default_dir()


def global_flags() -> tuple[Flag, ...]:
    """The options before the command."""
    certificates = os.environ.get("DOCKER_CERT_PATH") or _config_dir()
    return (
        Flag("config", "Directory of the client's configuration", default=_config_dir()),
        Flag("context", "Engine to speak to, by the name of its context", short="c", complete="contexts"),
        Flag("debug", "Print what is asked of the engine", short="D", kind="bool"),
        Flag("host", "Engine to speak to: unix://PATH, tcp://HOST:PORT or ssh://[USER@]HOST", short="H"),
        Flag(
            "log-level",
            'How much to print about the client\'s own work: "debug", "info", "warn", "error" or "fatal"',
            short="l",
            default="info",
        ),
        Flag("tls", "Use TLS without checking who the engine is", kind="bool"),
        Flag("tlscacert", "Trust engines whose certificate this authority signed", default=f"{certificates}/ca.pem"),
        Flag("tlscert", "Certificate to present to the engine", default=f"{certificates}/cert.pem"),
        Flag("tlskey", "Key of that certificate", default=f"{certificates}/key.pem"),
        Flag("tlsverify", "Use TLS and check who the engine is", kind="bool"),
        Flag("version", "Print the version and quit", short="v", kind="bool"),
    )


def main() -> None:
    """Run the program on `sys.argv` and leave; the interpreter's own tidying up is skipped, nothing is left to tidy."""
    status = run(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def run(words: Sequence[str]) -> int:
    """One invocation; returns its exit status and prints every error a person can do something about."""
    session = Session()
    try:
        return _run(words)
    except OutputClosed:
        return _SIGPIPE_STATUS
    except KeyboardInterrupt:
        return _SIGINT_STATUS
    except ExitStatus as stop:
        if stop.message:
            session.error(stop.message)
        return stop.status
    except errors.DockwrightError as error:
        session.error(describe(error))
        return 1
    except OSError as error:
        session.error(os_error_text(error))
        return 1


def describe(error: errors.DockwrightError) -> str:
    """An error as Docker's client words it: what the engine said is marked as its words."""
    from dockwright.client.errors import ResponseError

    return f"Error response from daemon: {error}" if isinstance(error, ResponseError) else str(error)


def os_error_text(error: OSError) -> str:
    """`open /nope: no such file or directory`, as Go words it."""
    reason = (error.strerror or str(error)).lower()
    return f"open {error.filename}: {reason}" if error.filename else reason


def _run(words: Sequence[str]) -> int:
    flags = global_flags()
    try:
        options, rest = Parser(flags, interspersed=False).parse(words)
    except UsageError as error:
        raise _usage_error(error, "", f"Usage:  {PROGRAM} [OPTIONS] COMMAND [ARG...]") from error
    except HelpWanted:
        return _help("")
    if options.on("version"):
        from dockwright import __version__

        Session().line(f"Dockwright version {__version__}")
        return 0
    session = _session(options)
    if not rest:
        return _help("")
    if rest[0] == "help":
        return _help(" ".join(rest[1:]))
    if rest[0] == "__complete":
        from dockwright.cli.completion import complete

        return complete(session, flags, rest[1:])
    found = index.find(rest)
    if found is None:
        return _group_or_unknown(rest)
    command, name, count = found
    try:
        return execute(session, command, name, rest[count:])
    finally:
        session.close()


def _session(options: Options) -> Session:
    level = options.text("log-level")
    if level not in _LOG_LEVELS:
        raise ExitStatus(1, f"Unable to parse logging level: {level}")
    return Session(
        config_dir=options.text("config") if options.given("config") else "",
        host=options.text("host"),
        context=options.text("context"),
        debug=options.on("debug") or level == "debug",
        tls=_tls(options),
    )


def _tls(options: Options) -> Tls | None:
    """TLS as the options ask for it; `None` leaves it to the environment or the context."""
    names = ("tls", "tlscacert", "tlscert", "tlskey", "tlsverify")
    if not options.any_given(*names) or not (options.on("tls") or options.on("tlsverify")):
        return None
    from dockwright.client.endpoint import Tls

    def file(name: str) -> str:
        path = options.text(name)
        return path if options.given(name) or os.path.exists(path) else ""

    return Tls(file("tlscacert"), file("tlscert"), file("tlskey"), options.on("tlsverify"))


def execute(session: Session, command: Command, name: str, words: Sequence[str]) -> int:
    """Parse `words` for `command` and do it. Raises `ExitStatus` for what cannot be understood."""
    try:
        options, arguments = Parser(command.flags, interspersed=command.interspersed).parse(words)
    except UsageError as error:
        raise _usage_error(error, name, command.usage_line(name)) from error
    except HelpWanted:
        return _help(name)
    complaint = command.arguments.complaint(len(arguments))
    if complaint:
        see = "See" if "at least" in complaint else "Run"
        raise ExitStatus(
            1,
            f"{PROGRAM}: '{PROGRAM} {name}' {complaint}\n\n{command.usage_line(name)}\n\n"
            f"{see} '{PROGRAM} {name} --help' for more information",
        )
    _check_versions(session, command, name, options)
    return command.run(session, options, arguments) or 0


def _check_versions(session: Session, command: Command, name: str, options: Options) -> None:
    """Refuse what the engine is too old for, rather than have it ignored."""
    wanted = [(f'"--{flag.name}"', flag.since) for flag in options.given_flags() if flag.since]
    if command.since:
        wanted.append((f"{PROGRAM} {name}", command.since))
    for what, since in wanted:
        if not session.client.at_least(since):
            raise ExitStatus(
                1, f"{what} requires API version {since}, but the Docker daemon API version is {session.client.version}"
            )


def _usage_error(error: UsageError, name: str, usage: str) -> ExitStatus:
    called = f"{PROGRAM} {name}".rstrip()
    return ExitStatus(125, f"{error}\n\n{usage}\n\nRun '{called} --help' for more information")


def _help(name: str) -> int:
    from dockwright.cli import help

    return help.show(Session(), name)


def _group_or_unknown(words: Sequence[str]) -> int:
    """A noun alone (its help), or a word that is no command."""
    if words[0] in index.NOUNS and (len(words) == 1 or words[1] in ("--help", "-h", "help")):
        return _help(words[0])
    from dockwright.cli.unknown import explain

    raise ExitStatus(*explain(words))
