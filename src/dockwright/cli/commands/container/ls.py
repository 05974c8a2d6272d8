"""`ps`: a table of containers."""

from __future__ import annotations

from dockwright.cli.command import NO_ARGUMENTS, Command
from dockwright.cli.display import units
from dockwright.cli.display.listing import FORMAT_HELP, Listing, mapping
from dockwright.cli.flags import Flag
from dockwright.client.calls import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session

    Row = dict[str, Any]

COLUMNS = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
HEADERS = {
    "ID": "CONTAINER ID",
    "Names": "NAMES",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "Ports": "PORTS",
    "State": "STATE",
    "Status": "STATUS",
    "Size": "SIZE",
    "Labels": "LABELS",
    "Mounts": "MOUNTS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Networks": "NETWORKS",
    "Platform": "PLATFORM",
}
RAW = (
    "container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\ncreated_at: {{.CreatedAt}}\nstate: {{.State}}\n"
    "status: {{.Status}}\nnames: {{.Names}}\nlabels: {{- pad .Labels 1 0}}\nports: {{- pad .Ports 1 0}}\n"
)


def listing(truncate: bool) -> Listing:
    """What a row of `ps` can show, cells cut to a readable width with `truncate`."""

    def cut(text: str, width: int) -> str:
        return units.ellipsis(text, width) if truncate else text

    fields: dict[str, Callable[[Row], Any]] = {
        "Command": lambda row: units.quoted(cut(row["Command"], 20)),
        "CreatedAt": lambda row: units.clock(row["Created"]),
        "ID": lambda row: units.short_id(row["Id"]) if truncate else row["Id"],
        "Image": lambda row: _image(row, truncate),
        "Labels": lambda row: mapping(row.get("Labels")),
        "LocalVolumes": lambda row: str(sum(mount.get("Driver") == "local" for mount in row.get("Mounts") or ())),
        "Mounts": lambda row: ",".join(
            cut(mount.get("Name") or mount.get("Source", ""), 15) for mount in row.get("Mounts") or ()
        ),
        "Names": lambda row: _names(row, truncate),
        "Networks": lambda row: ",".join(sorted((row.get("NetworkSettings") or {}).get("Networks") or ())),
        "Platform": _platform,
        "Ports": lambda row: ports(row.get("Ports") or []),
        "RunningFor": lambda row: units.since(row["Created"]),
        "Size": _size,
        "State": lambda row: row.get("State", ""),
        "Status": lambda row: row.get("Status", ""),
    }
    methods = {"Label": lambda row, name: (row.get("Labels") or {}).get(name, "")}
    return Listing("*formatter.ContainerContext", fields, HEADERS, methods=methods, raw=RAW)


def _names(row: Row, truncate: bool) -> str:
    names = [name.removeprefix("/") for name in row.get("Names") or ()]
    return ",".join(name for name in names if not truncate or "/" not in name)


def _image(row: Row, truncate: bool) -> str:
    image: str = row.get("Image") or "<no image>"
    if not truncate:
        return image
    if units.short_id(row.get("ImageID", "")) == units.short_id(image):
        return units.short_id(image)
    name, at, _ = image.partition("@sha256:")
    return name if at and ":" in name.rpartition("/")[2] else image


def _platform(row: Row) -> Any:
    from dockwright.cli.template.printing import NIL

    return (row.get("ImageManifestDescriptor") or {}).get("platform") or NIL


def _size(row: Row) -> str:
    own = units.size(row.get("SizeRw", 0), 3)
    whole = row.get("SizeRootFs", 0)
    return f"{own} (virtual {units.size(whole, 3)})" if whole > 0 else own


def ports(rows: list[dict[str, Any]]) -> str:
    """Published and exposed ports, neighbours as ranges: `0.0.0.0:80-81->80-81/tcp, 443/tcp`."""
    moved: list[str] = []
    done: list[str] = []
    open_ranges: dict[tuple[str, str], tuple[int, int]] = {}
    rows = sorted(rows, key=lambda p: (p["PrivatePort"], p.get("IP", ""), p.get("PublicPort", 0), p.get("Type", "")))
    for row in rows:
        port, address, protocol = row["PrivatePort"], row.get("IP", ""), row.get("Type", "")
        if address and row.get("PublicPort", 0) != port:
            moved.append(f"{_host_port(address, str(row.get('PublicPort', 0)))}->{port}/{protocol}")
            continue
        key = (address, protocol)
        first, last = open_ranges.get(key, (port, port))
        if port > last + 1:
            done.append(_range(key, first, last))
            first = port
        open_ranges[key] = (first, port)
    done += [_range(key, first, last) for key, (first, last) in open_ranges.items()]
    return ", ".join(done + moved)


def _range(key: tuple[str, str], first: int, last: int) -> str:
    address, protocol = key
    text = f"{first}" if first == last else f"{first}-{last}"
    return f"{_host_port(address, text)}->{text}/{protocol}" if address else f"{text}/{protocol}"


def _host_port(address: str, port: str) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def run(session: Session, options: Options, arguments: list[str]) -> None:
    format = options.text("format")
    quiet = options.on("quiet")
    if not format and not quiet:
        format = session.config.text("psFormat")
    last = 1 if options.on("latest") and options.number("last") == -1 else options.number("last")
    rows = session.client.json(
        containers.list(
            all=options.on("all"),
            limit=max(last, 0),
            size=options.on("size") or ".Size" in format or "{{json.}}" in format.replace(" ", ""),
            filters=options.filters(),
        )
    )
    show = listing(not options.on("no-trunc"))
    if quiet:
        session.out("".join(f"{show.fields['ID'](row)}\n" for row in rows))
        return
    columns = (*COLUMNS, "Size") if options.on("size") else COLUMNS
    session.out(show.show(format, columns, rows))


COMMAND = Command(
    ("container ls", "container list", "container ps", "ps"),
    "List containers",
    "[OPTIONS]",
    run,
    arguments=NO_ARGUMENTS,
    flags=(
        Flag("all", "Stopped containers too, not only those that run", short="a", kind="bool"),
        Flag(
            "filter",
            "Only containers that match, e.g. status=exited, name=web, label=tier=db",
            short="f",
            kind="filter",
        ),
        Flag("format", FORMAT_HELP),
        Flag("last", "The N newest containers, whatever their state", short="n", kind="int", default=-1),
        Flag("latest", "The newest container, whatever its state", short="l", kind="bool"),
        Flag("no-trunc", "Full ids and command lines", kind="bool"),
        Flag("quiet", "Ids only", short="q", kind="bool"),
        Flag("size", "What each container takes on disk", short="s", kind="bool"),
    ),
)
