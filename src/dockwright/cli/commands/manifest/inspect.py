"""`manifest inspect`: show a manifest, or a manifest list here or in a registry."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import Arguments, Command
from dockwright.cli.flags import Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.manifests.store import Entry
    from dockwright.cli.session import Session
    from dockwright.oci import Reference


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.cli.manifests.store import Lists
    from dockwright.oci import reference

    *of_list, name = (reference.parse(text).tagged for text in arguments)
    lists, verbose = Lists(session.config.directory), options.on("verbose")
    if of_list:
        entry = lists.find(of_list[0], name)
        if entry is None:
            raise errors.NotFound(f"No such manifest: {name}")
        session.line(_entry(entry, verbose))
    elif lists.exists(name):
        entries = lists.get(name)
        session.line(_verbose_list(entries) if verbose else _list(entries))
    else:
        session.line(_remote(session, name, verbose=verbose, insecure=options.on("insecure")))


def _entry(entry: Entry, verbose: bool) -> str:
    from dockwright.cli.manifests.documents import indented, shown

    return indented(entry.to_document()) if verbose else shown(entry.content)


def _list(entries: list[Entry]) -> str:
    from dockwright.cli.manifests.documents import list_document

    return list_document(entries).decode()


def _verbose_list(entries: list[Entry]) -> str:
    from dockwright.cli.manifests.documents import indented

    return indented([entry.to_document() for entry in entries])


def _remote(session: Session, name: Reference, *, verbose: bool, insecure: bool) -> str:
    from dockwright.cli.manifests.documents import shown
    from dockwright.cli.manifests.registry import Registry

    registry = Registry(session, insecure=insecure)
    found = registry.find(name)
    if not verbose:
        return shown(found.content, "   " if found.is_list else "\t")
    if found.is_list:
        return _verbose_list(registry.children(name, found))
    return _entry(registry.entry(name), verbose)


COMMAND = Command(
    ("manifest inspect",),
    "Show a manifest, or a manifest list here or in a registry",
    "[OPTIONS] [LIST] IMAGE",
    run,
    arguments=Arguments(1, 2),
    flags=(
        Flag("insecure", "The registry may lack TLS or a known certificate", kind="bool"),
        Flag("verbose", "Descriptors and every manifest of a list, too", short="v", kind="bool"),
    ),
)
