"""`logout`: have what is known about us at a registry forgotten."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import Arguments, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.credentials import CredentialFile, hostname, key_of

    server = key_of(arguments[0] if arguments else "")
    session.line(f"Removing login credentials for {hostname(server) if arguments else server}")
    try:
        CredentialFile(session.config.directory).erase(server)
    except errors.HostFailure as error:
        session.error(f"WARNING: could not erase credentials:\n{server}: {error}")


COMMAND = Command(
    ("logout",),
    "Forget who you are to a registry",
    "[SERVER]",
    run,
    arguments=Arguments(0, 1),
    about="Without SERVER it is Docker Hub.",
)
