"""`builder du`: what builds keep, and how much of it could go."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import NO_ARGUMENTS, Command, ExitStatus
from dockwright.cli.display import units
from dockwright.cli.display.listing import FORMAT_HELP, Listing
from dockwright.cli.flags import Flag
from dockwright.client.calls import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session

    Row = dict[str, Any]

COLUMNS = ("ID", "Reclaimable", "Size", "LastUsedAt")
_FILTERS = ("description", "id", "inuse", "private", "shared", "type", "unused-for", "until")


def _flag(value: object) -> str:
    return "true" if value else "false"


def _last_used(row: Row) -> str:
    return units.since(units.epoch(row["LastUsedAt"])) if row.get("LastUsedAt") else ""


def listing(*, marks: bool) -> Listing:
    """`marks`: stars in a table show what is shared, and what a running build changes."""
    return Listing(
        "*commands.diskusageContext",
        {
            "CreatedAt": lambda row: row.get("CreatedAt", ""),
            "Description": lambda row: row.get("Description", ""),
            "ID": lambda row: row["ID"] + ("*" if marks and _mutable(row) else ""),
            "LastUsedAt": _last_used,
            "Mutable": lambda row: _flag(_mutable(row)),
            "Parents": lambda row: row.get("Parents") or [],
            "Reclaimable": lambda row: _flag(not row.get("InUse")),
            "Shared": lambda row: _flag(row.get("Shared")),
            "Size": lambda row: units.size(row.get("Size", 0)) + ("*" if marks and row.get("Shared") else ""),
            "Type": lambda row: row.get("Type", ""),
            "UsageCount": lambda row: str(row.get("UsageCount", 0)),
        },
        {
            "CreatedAt": "CREATED AT",
            "Description": "DESCRIPTION",
            "ID": "ID",
            "LastUsedAt": "LAST ACCESSED",
            "Mutable": "MUTABLE",
            "Parents": "PARENTS",
            "Reclaimable": "RECLAIMABLE",
            "Shared": "SHARED",
            "Size": "SIZE",
            "Type": "TYPE",
            "UsageCount": "USAGE COUNT",
        },
    )


def _mutable(row: Row) -> bool:
    """Cache mounts are written to by whoever has them."""
    return row.get("Type") == "exec.cachemount"


def run(session: Session, options: Options, arguments: list[str]) -> None:
    form = options.text("format")
    if form and options.on("verbose"):
        raise errors.Invalid("--format and --verbose cannot be used together")
    filters = options.filters()
    rows = [row for row in records(session) if wanted(row, filters)]
    if options.on("verbose") or form == "pretty":
        session.out("\n".join(map(pretty, rows)))
    else:
        marks = not form or form.startswith("table")
        session.out(listing(marks=marks).show(form, COLUMNS, rows))
        if form not in ("", "table"):
            return
    if not filters:
        session.out(summary(rows))


def records(session: Session) -> list[Row]:
    """What the engine keeps of builds."""
    found: list[Row] = session.client.json(system.disk_usage(types=["build-cache"])).get("BuildCache") or []
    return found


def wanted(row: Row, filters: dict[str, list[str]]) -> bool:
    """Whether every filter takes the row. Raises `ExitStatus` for one that is none."""
    for name, values in filters.items():
        if name not in _FILTERS:
            raise ExitStatus(1, f"invalid filter '{name}': one of {', '.join(_FILTERS)}")
        if not any(_takes(row, name, value) for value in values):
            return False
    return True


def _takes(row: Row, name: str, value: str) -> bool:
    if name == "id":
        return value in row["ID"]
    if name in ("until", "unused-for"):
        return _older(row, value)
    if name in ("inuse", "shared", "private"):
        held = {"inuse": row.get("InUse"), "shared": row.get("Shared"), "private": not row.get("Shared")}[name]
        return _flag(held) == (value.lower() or "true")
    return str(row.get(name.capitalize(), "")) == value


def _older(row: Row, text: str) -> bool:
    from time import time

    from dockwright.cli.values import duration_ns

    try:
        age_s = duration_ns(text) / 1e9
    except ValueError as error:
        raise ExitStatus(1, f"the filter until expects a duration (e.g., '24h'): {error}") from error
    last = row.get("LastUsedAt") or row.get("CreatedAt") or ""
    return not last or units.epoch(last) < time() - age_s


def pretty(row: Row) -> str:
    """All about one, a line each."""
    lines = [("ID", row["ID"])]
    told = "".join(f"\n - {parent}" for parent in row.get("Parents") or ())
    fields = listing(marks=False).fields
    lines += [("Created at", fields["CreatedAt"](row)), ("Mutable", fields["Mutable"](row))]
    lines += [("Reclaimable", fields["Reclaimable"](row)), ("Shared", fields["Shared"](row))]
    lines += [("Size", fields["Size"](row))]
    lines += [("Description", row["Description"])] if row.get("Description") else []
    lines += [("Usage count", fields["UsageCount"](row))]
    lines += [("Last used", _last_used(row))] if row.get("LastUsedAt") else []
    lines += [("Type", row["Type"])] if row.get("Type") else []
    shown = [f"{name + ':':<14}{value}" for name, value in lines]
    if told:
        shown.insert(1, f"Parents:{told}")
    return "\n".join(shown) + "\n"


def summary(rows: list[Row]) -> str:
    """How much there is of it all."""
    total = sum(row.get("Size", 0) for row in rows)
    free = sum(row.get("Size", 0) for row in rows if not row.get("InUse"))
    shared = sum(row.get("Size", 0) for row in rows if row.get("Shared"))
    amounts = [("Shared", shared), ("Private", total - shared)] if shared else []
    amounts += [("Reclaimable", free), ("Total", total)]
    return "".join(f"{name + ':':<16}{units.size(amount)}\n" for name, amount in amounts)


COMMAND = Command(
    ("builder du",),
    "Show what builds keep",
    "[OPTIONS]",
    run,
    arguments=NO_ARGUMENTS,
    about=(
        "In the table a star behind a size marks what images use too, one behind an ID what builds write to (cache mounts).\n"
        "Without a filter the sums follow."
    ),
    flags=(
        Flag("filter", "Only what matches, e.g. type=exec.cachemount or unused-for=24h", kind="filter"),
        Flag("format", FORMAT_HELP),
        Flag("verbose", "All about each, one after the other", kind="bool"),
    ),
)
