"""`images`: a table of images."""

from __future__ import annotations

from dockwright.cli.command import Arguments, Command
from dockwright.cli.display import units
from dockwright.cli.display.listing import FORMAT_HELP, Listing
from dockwright.cli.flags import Flag
from dockwright.client.calls import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session

    Row = dict[str, Any]

NONE = "<none>"
HEADERS = {
    "ID": "IMAGE ID",
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "Containers": "CONTAINERS",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
    "VirtualSize": "SIZE",
}


def listing(truncate: bool) -> Listing:
    """What a row of `images` can show."""
    fields: dict[str, Callable[[Row], Any]] = {
        "Containers": lambda row: "N/A" if row.get("Containers", -1) == -1 else str(row["Containers"]),
        "CreatedAt": lambda row: units.clock(row["Created"]),
        "CreatedSince": lambda row: units.since(row["Created"]),
        "Digest": lambda row: row["digest"],
        "ID": lambda row: units.short_id(row["Id"]) if truncate else row["Id"],
        "Repository": lambda row: row["repository"],
        "SharedSize": lambda row: _size(row.get("SharedSize", -1)),
        "Size": lambda row: units.size(row.get("Size", 0), 3),
        "Tag": lambda row: row["tag"],
        "UniqueSize": lambda row: (
            "N/A" if -1 in (row.get("SharedSize", -1), row.get("Size", -1)) else _size(row["Size"] - row["SharedSize"])
        ),
        "VirtualSize": lambda row: units.size(row.get("Size", 0)),
    }
    raw = (
        "repository: {{.Repository}}\n{{if .Tag}}tag: {{.Tag}}\n{{end}}image_id: {{.ID}}\n"
        "created_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n"
    )
    return Listing("*formatter.imageContext", fields, HEADERS, raw=raw)


def _size(size_bytes: int) -> str:
    return "N/A" if size_bytes == -1 else units.size(size_bytes, 3)


def rows(found: Iterable[Row], *, digests: bool) -> Iterator[Row]:
    """A row for each name of each image, and with `digests` for each digest too."""
    for image in found:
        tags = [name.rpartition(":") for name in image.get("RepoTags") or () if name != "<none>:<none>"]
        known: dict[str, list[str]] = {}
        for reference in image.get("RepoDigests") or ():
            repository, _, digest = reference.partition("@")
            if repository != NONE:
                known.setdefault(repository, []).append(digest)
        named = [(repository, tag, known.get(repository, [NONE]) if digests else [NONE]) for repository, _, tag in tags]
        tagged = {repository for repository, _, _ in tags}
        for repository, found_digests in known.items():
            if repository not in tagged:
                named.append((repository, NONE, found_digests if digests else found_digests[:1]))
        for repository, tag, of_name in named or [(NONE, NONE, [NONE])]:
            for digest in of_name:
                yield {**image, "repository": repository, "tag": tag, "digest": digest}


def run(session: Session, options: Options, arguments: list[str]) -> None:
    filters = options.filters()
    if arguments:
        filters.setdefault("reference", []).append(arguments[0])
    if options.on("tree"):
        from dockwright.cli.display.tree import show_images

        show_images(session, options, filters)
        return
    found = session.client.json(images.list(all=options.on("all"), filters=filters)) or []
    format = options.text("format")
    quiet = options.on("quiet")
    if not format and not quiet:
        format = session.config.text("imagesFormat")
    show = listing(not options.on("no-trunc"))
    digests = options.on("digests") or ".Digest" in format
    wanted = list(rows(found, digests=digests))
    if quiet:
        session.out("".join(f"{show.fields['ID'](row)}\n" for row in wanted))
        return
    columns = ["Repository", "Tag", "ID", "CreatedSince", "Size"]
    if options.on("digests"):
        columns.insert(2, "Digest")
    session.out(show.show(format, columns, wanted))


COMMAND = Command(
    ("image ls", "image list", "images"),
    "List images",
    "[OPTIONS] [REPOSITORY[:TAG]]",
    run,
    arguments=Arguments(0, 1),
    flags=(
        Flag("all", "Images that only others are made of, too", short="a", kind="bool"),
        Flag("digests", "A column with digests", kind="bool"),
        Flag(
            "filter", "Only images that match, e.g. dangling=true, label=tier=db, before=NAME", short="f", kind="filter"
        ),
        Flag("format", FORMAT_HELP),
        Flag("no-trunc", "Full ids", kind="bool"),
        Flag("quiet", "Ids only", short="q", kind="bool"),
        Flag("tree", "The platforms of each image below it", kind="bool", since="1.47"),
    ),
    completes=("images",),
)
