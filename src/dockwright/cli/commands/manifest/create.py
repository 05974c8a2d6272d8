"""`manifest create`: begin a manifest list on this machine, out of images in a registry."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import Arguments, Command
from dockwright.cli.flags import Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.cli.manifests.registry import Registry
    from dockwright.cli.manifests.store import Lists
    from dockwright.oci import reference

    name, *manifests = [reference.parse(text).tagged for text in arguments]
    lists = Lists(session.config.directory)
    if lists.exists(name) and not options.on("amend"):
        raise errors.Conflict("refusing to amend an existing manifest list with no --amend flag")
    registry = Registry(session, insecure=options.on("insecure"))
    found = [(one, lists.find(name, one) or registry.entry(one)) for one in manifests]
    for one, entry in found:
        lists.save(name, one, entry)
    session.line(f"Created manifest list {name}")


COMMAND = Command(
    ("manifest create",),
    "Begin a manifest list on this machine, out of images in a registry",
    "[OPTIONS] LIST IMAGE [IMAGE...]",
    run,
    arguments=Arguments(2, None),
    flags=(
        Flag("amend", "Add to a list that is there", short="a", kind="bool"),
        Flag("insecure", "The registry may lack TLS or a known certificate", kind="bool"),
    ),
    about=(
        "The list is one name for an image on several platforms. It stays here until it is pushed:\n\n"
        "  dockwright manifest create my/tool:1 my/tool:1-amd64 my/tool:1-arm64\n"
        "  dockwright manifest annotate my/tool:1 my/tool:1-arm64 --arch arm64 --variant v8\n"
        "  dockwright manifest push --purge my/tool:1"
    ),
)
