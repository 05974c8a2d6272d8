"""`images --tree`: each image with its platforms below it."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.display import units
from dockwright.cli.display.columns import align
from dockwright.client.calls import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def show_images(session: Session, options: Options, filters: Mapping[str, list[str]]) -> None:
    """Raises `errors.Invalid` with options that a tree cannot honour."""
    for name in ("quiet", "no-trunc", "digests", "format"):
        if options.given(name):
            raise errors.Invalid(
                f"--{name} is not supported with --tree"
                if name != "format"
                else "--format is not yet supported with --tree"
            )
    found = session.client.json(images.list(all=options.on("all"), filters=filters, manifests=True)) or []
    lines = ["IMAGE\tID\tDISK USAGE\tCONTENT SIZE\tIN USE"]
    for image in sorted(found, key=lambda one: -one.get("Created", 0)):
        lines += _image(image)
    session.out(align("\n".join(lines) + "\n"))


def _image(image: dict[str, Any]) -> list[str]:
    # What is not here is shown too, with nothing on the disk: the image has it all the same.
    platforms = [one for one in image.get("Manifests") or () if one.get("Kind") != "attestation" and _platform(one)]
    content = sum(one.get("Size", {}).get("Content", 0) for one in image.get("Manifests") or ())
    in_use = any(one.get("ImageData", {}).get("Containers") for one in platforms)
    names = image.get("RepoTags") or ["<untagged>"]
    lines = [_row(name, image["Id"], image.get("Size", 0), content, in_use) for name in names]
    for at, one in enumerate(platforms):
        branch = "└─" if at == len(platforms) - 1 else "├─"
        sizes = one.get("Size") or {}
        lines.append(
            _row(
                f"{branch} {_platform(one)}",
                one.get("ID", ""),
                sizes.get("Total", 0),
                sizes.get("Content", 0),
                bool((one.get("ImageData") or {}).get("Containers")),
            )
        )
    return lines


def _platform(manifest: dict[str, Any]) -> str:
    found = (
        (manifest.get("ImageData") or {}).get("Platform") or (manifest.get("Descriptor") or {}).get("platform") or {}
    )
    parts = (found.get("os", ""), found.get("architecture", ""), found.get("variant", ""))
    return "/".join(part for part in parts if part)


def _row(name: str, identity: str, disk: int, content: int, in_use: bool) -> str:
    return "\t".join(
        (name, units.short_id(identity), units.size(disk, 3), units.size(content, 3), "✔" if in_use else "")
    )
