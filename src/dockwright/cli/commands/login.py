"""`login`: say who you are to a registry, and have it remembered."""

from __future__ import annotations

import os

from dockwright import errors
from dockwright.cli.command import Arguments, Command
from dockwright.cli.flags import Flag
from dockwright.cli.session import STDERR, STDIN
from dockwright.client.calls import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session
    from dockwright.credentials import CredentialFile, Credentials

_PASSWORD_LIMIT = 64 * 1024


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.credentials import HUB, CredentialFile, Credentials, key_of

    server = key_of(arguments[0] if arguments else "")
    username, password = options.text("username"), _password(session, options)
    if os.environ.get("DOCKER_AUTH_CONFIG"):
        session.error("WARNING! DOCKER_AUTH_CONFIG is set and is looked at before what is stored now.")
    file = CredentialFile(session.config.directory)
    known = file.get(server)
    if known is not None and not (username or password) and _known_are_good(session, file, server, known):
        return
    default = known.username if known is not None else ""
    if not username:
        if server == HUB:
            session.line(
                "Log in with your Docker ID or email address, and a password or a Personal Access Token (PAT)."
            )
        username = _ask_username(session, default)
    if not password:
        password = _ask_password(session)
    _log_in(session, file, server, Credentials(username, password))


def _password(session: Session, options: Options) -> str:
    """The password that the command line gives. Raises `errors.Invalid`."""
    if options.given("password"):
        if options.on("password-stdin"):
            raise errors.Invalid("conflicting options: cannot specify both --password and --password-stdin")
        session.error("WARNING! Using --password via the CLI is insecure. Use --password-stdin.")
        return options.text("password")
    if not options.on("password-stdin"):
        return ""
    if not options.text("username"):
        raise errors.Invalid("the --password-stdin option requires --username to be set")
    read = b""
    while (piece := os.read(STDIN, 4096)) and len(read) <= _PASSWORD_LIMIT:
        read += piece
    return read.decode("utf-8", "surrogateescape").removesuffix("\n").removesuffix("\r")


def _known_are_good(session: Session, file: CredentialFile, server: str, known: Credentials) -> bool:
    who = f" [Username: {known.username}]" if known.username else ""
    session.error(f"Authenticating with existing credentials...{who}")
    session.error("To login with a different account, run 'logout' followed by 'login'")
    try:
        _log_in(session, file, server, known)
    except errors.Unauthorized as error:
        session.error(f"Login did not succeed, error: Error response from daemon: {error}")
        return False
    return True


def _log_in(session: Session, file: CredentialFile, server: str, given: Credentials) -> None:
    from dataclasses import replace

    from dockwright.credentials import detect, to_document

    # Surrogates stand for bytes that were no UTF-8.
    if any(one < " " or one == "\x7f" or "\ud800" <= one <= "\udfff" for one in given.username + given.password):
        raise errors.Invalid("user name and password have to be UTF-8 without control characters")
    answer = session.client.json(system.auth(to_document(given, server))) or {}
    if token := answer.get("IdentityToken"):
        given = replace(given, password="", identity_token=token)
    before = file.get(server)
    if not file.holds_any and (default := detect()):
        file.choose_store(default)
    helper = file.store(server, given)
    if helper is None and before != given:
        session.error(
            f"\nWARNING! Your credentials are stored unencrypted in '{file.path}'.\n"
            "Configure a credential helper to remove this warning. See\n"
            "https://docs.docker.com/go/credential-store/\n"
        )
    session.line(answer.get("Status") or "Login Succeeded")


def _ask_username(session: Session, default: str) -> str:
    if not os.isatty(STDIN):
        raise errors.Invalid("Error: Cannot perform an interactive login from a non TTY device")
    session.out(f"Username ({default}): " if default else "Username: ")
    found = session.read_line().strip() or default
    if not found:
        raise errors.Invalid("Error: Non-null Username Required")
    return found


def _ask_password(session: Session) -> str:
    if not os.isatty(STDIN):
        raise errors.Invalid("Error: Cannot perform an interactive login from a non TTY device")
    from dockwright.cli.terminal.hidden import HiddenInput

    with HiddenInput(STDIN):
        session.write(STDERR, b"Password: ")
        found = session.read_line().rstrip("\r\n")
    session.write(STDERR, b"\n")
    if not found:
        raise errors.Invalid("Error: Password Required")
    return found


COMMAND = Command(
    ("login",),
    "Say who you are to a registry",
    "[OPTIONS] [SERVER]",
    run,
    arguments=Arguments(0, 1),
    flags=(
        Flag("password", "Password or access token; others on this machine may see it", short="p"),
        Flag("password-stdin", "Read the password from standard input", kind="bool"),
        Flag("username", "User name", short="u"),
    ),
    about="Without SERVER it is Docker Hub. What is stored is used by every client that reads the same configuration.",
)
