"""Who we are to the registry of an image: the header the engine hands on to it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.session import Session
    from dockwright.credentials import Credentials


def credentials(session: Session, registry: str) -> Credentials | None:
    """What is kept for `registry`. Raises `errors.Invalid` and `errors.HostFailure` for a file or helper that is broken."""
    from dockwright.credentials import CredentialFile

    return CredentialFile(session.config.directory).get(registry)


def header(session: Session, registry: str) -> str:
    """The X-Registry-Auth for a call about `registry`; empty where nothing is known."""
    from dockwright.credentials import key_of, to_header

    found = credentials(session, registry)
    return to_header(found, key_of(registry)) if found is not None else ""


def all_as_header(session: Session) -> str:
    """The X-Registry-Config of a build: who we are to every registry that something is kept for; empty where nothing is."""
    from dockwright.credentials import CredentialFile, to_registries_header

    file = CredentialFile(session.config.directory)
    if not file.holds_any:
        return ""
    return to_registries_header({server: found for server in file.list() if (found := file.get(server)) is not None})
