"""Lists of things: one declaration of a list's fields serves the default table, `table …`, `json` and free templates.

The template engine is imported only when somebody gave a template: the default table is put together without it.
"""

from __future__ import annotations

from dockwright.cli.command import ExitStatus
from dockwright.cli.display.columns import align

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    Field = Callable[[Any], Any]

FORMAT_HELP = (
    "How to print the list: 'table' in columns with a header (as without this option), 'table TEMPLATE' with columns of "
    "your own, 'json' one object a line, or a Go TEMPLATE printed once for each row"
)


class Listing:
    """What one kind of list can show.

    `fields` are the names a template may use, each a function of the row; `headers` their column titles; `methods` take
    arguments (`{{.Label "x"}}`). `raw` is the template behind the
    old name `raw`. `type_name` is what Docker's error for an unknown field calls the row.
    """

    def __init__(
        self,
        type_name: str,
        fields: Mapping[str, Field],
        headers: Mapping[str, str],
        *,
        methods: Mapping[str, Callable[..., Any]] | None = None,
        hidden: Iterable[str] = (),
        raw: str = "",
    ) -> None:
        self.type_name = type_name
        self.fields = fields
        self.headers = headers
        self.methods = methods or {}
        self.hidden = frozenset(hidden)
        self.raw = raw

    def table(self, columns: Sequence[str], rows: Iterable[Any]) -> str:
        """The rows in columns under their headers."""
        lines = ["\t".join(self.headers[name] for name in columns)]
        lines += ["\t".join(str(self.fields[name](row)) for name in columns) for row in rows]
        return align("\n".join(lines) + "\n")

    def show(self, format: str, columns: Sequence[str], rows: Iterable[Any]) -> str:
        """The rows as `format` asks; empty or `table` is the default table. Raises `ExitStatus` for a bad template."""
        if format.strip(" ") in ("", "table"):
            return self.table(columns, rows)
        from dockwright.cli.display.templated import render_rows

        try:
            return render_rows(self, format, list(rows))
        except ValueError as error:
            raise ExitStatus(1, str(error)) from error


def mapping(pairs: Mapping[str, Any] | None) -> str:
    """`a=1,b=2`: labels in a cell."""
    return ",".join(f"{key}={value}" for key, value in sorted((pairs or {}).items()))
