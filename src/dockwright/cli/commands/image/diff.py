"""`image diff`: what makes one image different from another."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import TWO, Command
from dockwright.cli.display import units
from dockwright.cli.flags import Flag
from dockwright.client.calls import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session

_LETTERS = {"added": "A", "changed": "C", "removed": "D"}


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.cli.platforms import as_json

    if options.on("files") and options.on("packages"):
        raise errors.Invalid("--files and --packages exclude each other: without either, both are shown")
    call = images.compare(arguments[0], arguments[1], platform=as_json(options.text("platform")))
    found = session.client.json(call)
    if options.text("format"):
        from dockwright.cli.display.templated import render_one

        session.line(render_one(options.text("format"), found))
        return
    packages = [] if options.on("files") else found["Packages"]
    files = [] if options.on("packages") else found["Files"]
    session.out("".join(f"{text}\n" for text in [*map(_package, packages), *map(_file, files)]))


def _package(one: dict[str, Any]) -> str:
    name = f"{_LETTERS[one['Kind']]} package {one['Name']}"
    versions = [version for version in (one["VersionBefore"], one["VersionAfter"]) if version]
    return f"{name} {' -> '.join(versions)}"


def _file(one: dict[str, Any]) -> str:
    grown = one["SizeAfter"] - one["SizeBefore"]
    size = f"{'+' if grown > 0 else '-'}{units.size(abs(grown), 3)}" if grown else ""
    what = f"({', '.join(one['What'])})" if one["What"] else ""
    return " ".join(filter(None, (_LETTERS[one["Kind"]], one["Path"], size, what)))


COMMAND = Command(
    ("image diff",),
    "Show what makes one image different from another, in files and packages",
    "[OPTIONS] IMAGE OTHER",
    run,
    arguments=TWO,
    flags=(
        Flag("files", "Files only", kind="bool"),
        Flag("format", "How to print it: 'json', or a Go TEMPLATE"),
        Flag("packages", "Packages only (dpkg and apk)", kind="bool"),
        Flag("platform", "Platform of images that have several, e.g. linux/arm64"),
    ),
    about=(
        "A is what OTHER has beyond IMAGE, D what it lacks, C what is there in both but differs.\n\n"
        "  dockwright image diff debian:bookworm my/tool:1"
    ),
    completes=("images",),
)
