"""`manifest push`: send a manifest list to its registry."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import ONE, Command
from dockwright.cli.flags import Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.cli.manifests.registry import Registry
    from dockwright.cli.manifests.store import Lists
    from dockwright.oci import reference

    name = reference.parse(arguments[0]).tagged
    lists = Lists(session.config.directory)
    entries = lists.get(name)
    for entry in entries:
        if not (entry.platform.os and entry.platform.architecture):
            raise errors.Invalid(
                f"manifest {entry.name} must have an OS and Architecture to be pushed to a registry: see 'manifest annotate'"
            )
    digest = Registry(session, insecure=options.on("insecure")).push(
        name, entries, lambda what, digest: session.line(f"Pushed ref {what} with digest: {digest}")
    )
    session.line(digest)
    if options.on("purge"):
        lists.remove(name)


COMMAND = Command(
    ("manifest push",),
    "Send a manifest list to its registry",
    "[OPTIONS] LIST",
    run,
    arguments=ONE,
    flags=(
        Flag("insecure", "The registry may lack TLS or a known certificate", kind="bool"),
        Flag("purge", "Forget the list on this machine afterwards", short="p", kind="bool"),
    ),
)
