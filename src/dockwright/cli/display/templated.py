"""`--format` with a template, for lists."""

from __future__ import annotations

from functools import partial

from dockwright.cli.display.columns import align
from dockwright.cli.template import ExecutionError, ParseError, Record, Template
from dockwright.cli.template.printing import to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from dockwright.cli.display.listing import Listing


def render_rows(listing: Listing, format: str, rows: Sequence[Any]) -> str:
    """The rows by `format`: `json`, `table TEMPLATE` or `TEMPLATE`. Raises `ValueError` with Docker's wording."""
    if format == "json":
        return "".join(row_json(listing, row) + "\n" for row in rows)
    if format == "raw" and listing.raw:
        format = listing.raw
    table = format.startswith("table")
    text = (format.removeprefix("table") if table else format).strip(" ")
    text = text.replace("\\t", "\t").replace("\\n", "\n")
    try:
        template = Template(text)
    except ParseError as error:
        raise ValueError(f"failed to parse template: {error}") from error
    try:
        lines = [template.render(_record(listing, row)) for row in rows]
        if table:
            lines.insert(0, template.render(_headers(listing), header=True))
    except ExecutionError as error:
        raise ValueError(f"failed to execute template: {error}") from error
    body = "".join(line + "\n" for line in lines)
    return align(body) if table else body


def row_json(listing: Listing, row: Any) -> str:
    return to_json(_record(listing, row))


def _record(listing: Listing, row: Any) -> Record:
    fields = {name: partial(field, row) for name, field in listing.fields.items()}
    methods = {name: partial(method, row) for name, method in listing.methods.items()}
    return Record(listing.type_name, fields, methods, listing.hidden)


def _headers(listing: Listing) -> Record:
    def title(name: str) -> str:
        return listing.headers.get(name, name.upper())

    fields = {name: partial(title, name) for name in {*listing.fields, *listing.headers}}
    # As Docker: the title of a column made by a method is the method's argument.
    methods = {name: lambda argument: argument for name in listing.methods}
    return Record(listing.type_name, fields, methods)


def render_one(format: str, value: Any) -> str:
    """One thing by `json` or a template. Raises `ExitStatus` with Docker's wording."""
    from dockwright.cli.command import ExitStatus
    from dockwright.cli.display.inspection import typed
    from dockwright.client import wirejson

    if format == "json":
        return wirejson.encode(value)
    try:
        template = Template(format, strict=True)
    except ParseError as error:
        raise ExitStatus(64, f"template parsing error: {error}") from error
    try:
        return template.render(typed(value))
    except ExecutionError as error:
        raise ExitStatus(1, str(error)) from error
