"""`system df`: sizes of images, containers, volumes and the build cache, and how much of them nobody needs."""

from __future__ import annotations

from dockwright.cli.command import ExitStatus
from dockwright.cli.display import units
from dockwright.cli.display.listing import Listing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

COLUMNS = ("Type", "TotalCount", "Active", "Size", "Reclaimable")
_RUNNING = ("running", "paused", "restarting")


class Kind:
    """One line of the summary."""

    def __init__(
        self, name: str, total: int, active: int, size: int, reclaimable: int, *, percent: bool = True
    ) -> None:
        self.name = name
        self.total = total
        self.active = active
        self.size = size
        self.reclaimable = reclaimable
        self.percent = percent


def _reclaimable(kind: Kind) -> str:
    text = units.size(kind.reclaimable)
    return f"{text} ({kind.reclaimable * 100 // kind.size}%)" if kind.percent and kind.size > 0 else text


LISTING = Listing(
    "*formatter.diskUsageContext",
    {
        "Type": lambda kind: kind.name,
        "TotalCount": lambda kind: str(kind.total),
        "Active": lambda kind: str(kind.active),
        "Size": lambda kind: units.size(kind.size),
        "Reclaimable": _reclaimable,
    },
    {"Type": "TYPE", "TotalCount": "TOTAL", "Active": "ACTIVE", "Size": "SIZE", "Reclaimable": "RECLAIMABLE"},
)


def summary(found: dict[str, Any]) -> list[Kind]:
    return [_images(found), _containers(found), _volumes(found), _build_cache(found)]


def _images(found: dict[str, Any]) -> Kind:
    images, size = found.get("Images") or [], found.get("LayersSize") or 0
    used = [image for image in images if image.get("Containers", 0) > 0]
    # What used images do not share with others could not be reclaimed; shared layers are counted as kept.
    kept = sum(image["Size"] - max(image.get("SharedSize", 0), 0) for image in used if image.get("Size", -1) != -1)
    shared = max((image.get("SharedSize", 0) for image in used), default=0)
    return Kind("Images", len(images), len(used), size, max(size - kept - max(shared, 0), 0))


def _containers(found: dict[str, Any]) -> Kind:
    rows = found.get("Containers") or []
    idle = [row for row in rows if row.get("State") not in _RUNNING]
    size = sum(row.get("SizeRw", 0) for row in rows)
    return Kind("Containers", len(rows), len(rows) - len(idle), size, sum(row.get("SizeRw", 0) for row in idle))


def _volumes(found: dict[str, Any]) -> Kind:
    usages = [volume.get("UsageData") or {} for volume in found.get("Volumes") or []]
    size = sum(max(usage.get("Size", 0), 0) for usage in usages)
    free = sum(max(usage.get("Size", 0), 0) for usage in usages if usage.get("RefCount", 0) == 0)
    return Kind("Local Volumes", len(usages), sum(usage.get("RefCount", 0) > 0 for usage in usages), size, free)


def _build_cache(found: dict[str, Any]) -> Kind:
    records = found.get("BuildCache") or []
    size = sum(record.get("Size", 0) for record in records if not record.get("Shared"))
    kept = sum(record.get("Size", 0) for record in records if record.get("InUse") and not record.get("Shared"))
    active = sum(bool(record.get("InUse")) for record in records)
    return Kind("Build Cache", len(records), active, size, size - kept, percent=False)


def verbose(found: dict[str, Any], format: str) -> str:
    """Everything one by one, in tables or as one JSON object. Raises `ExitStatus` for another format."""
    as_json = format == "json" or format.replace(" ", "") == "{{json.}}"
    parts = (
        ("Images", _image_listing(truncate=not as_json), _IMAGE_COLUMNS, _image_rows(found)),
        ("Containers", _container_listing(truncate=not as_json), _CONTAINER_COLUMNS, found.get("Containers") or []),
        ("Volumes", _volume_listing(), ("Name", "Links", "Size"), found.get("Volumes") or []),
        ("BuildCache", CACHE, tuple(CACHE.headers), found.get("BuildCache") or []),
    )
    if as_json:
        from dockwright.cli.display.templated import row_json

        rows = (f'"{name}":[{",".join(row_json(show, row) for row in some)}]' for name, show, _, some in parts)
        return "{" + ",".join(rows) + "}\n"
    if format not in ("", "table"):
        raise ExitStatus(1, "with --verbose the format is 'table' or 'json'")
    titles = ("Images space usage:", "Containers space usage:", "Local Volumes space usage:", _cache_title(found))
    texts = [
        f"{title}\n\n{show.table(columns, some)}" for title, (_, show, columns, some) in zip(titles, parts, strict=True)
    ]
    return "\n".join(texts)


def _cache_title(found: dict[str, Any]) -> str:
    return f"Build cache usage: {units.size(_build_cache(found).size)}"


_IMAGE_COLUMNS = ("Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers")
_CONTAINER_COLUMNS = ("ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names")


def _image_rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """One row an image, by the first of its names."""
    rows = []
    for image in found.get("Images") or []:
        repository, _, tag = (image.get("RepoTags") or ["<none>:<none>"])[0].rpartition(":")
        rows.append({**image, "repository": repository, "tag": tag, "digest": ""})
    return rows


def _volume_listing() -> Listing:
    from dockwright.cli.commands.volume.ls import LISTING

    return LISTING


def _image_listing(*, truncate: bool) -> Listing:
    from dockwright.cli.commands.image.ls import listing

    show = listing(truncate)
    fields = {**show.fields, "UniqueSize": lambda row: units.size(row["Size"] - max(row.get("SharedSize", 0), 0))}
    return Listing(show.type_name, fields, show.headers)


def _container_listing(*, truncate: bool) -> Listing:
    from dockwright.cli.commands.container.ls import listing

    show = listing(truncate)
    fields = {**show.fields, "Size": lambda row: units.size(row.get("SizeRw", 0), 3)}
    return Listing(show.type_name, fields, show.headers)


CACHE = Listing(
    "*formatter.buildCacheContext",
    {
        "ID": lambda row: row["ID"][:12],
        "CacheType": lambda row: row.get("Type", ""),
        "Size": lambda row: units.size(row.get("Size", 0), 3),
        "CreatedSince": lambda row: units.since(units.epoch(row.get("CreatedAt", ""))),
        "LastUsedSince": lambda row: units.since(units.epoch(row["LastUsedAt"])) if row.get("LastUsedAt") else "",
        "UsageCount": lambda row: str(row.get("UsageCount", 0)),
        "Shared": lambda row: "true" if row.get("Shared") else "false",
    },
    {
        "ID": "CACHE ID",
        "CacheType": "CACHE TYPE",
        "Size": "SIZE",
        "CreatedSince": "CREATED",
        "LastUsedSince": "LAST USED",
        "UsageCount": "USAGE",
        "Shared": "SHARED",
    },
)
