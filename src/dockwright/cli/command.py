"""How a command is declared: its names, its arguments, its options and the function that does it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dockwright.cli.flags import Flag, Options
    from dockwright.cli.session import Session

    Run = Callable[[Session, Options, list[str]], int | None]

PROGRAM = "dockwright"


class Arguments:
    """How many arguments a command takes: at least `low`, at most `high` (`None`: any number)."""

    __slots__ = ("high", "low")

    def __init__(self, low: int, high: int | None) -> None:
        self.low = low
        self.high = high

    def complaint(self, count: int) -> str:
        """What is wrong with `count` arguments, in Docker's words; empty when nothing is."""
        if self.low <= count and (self.high is None or count <= self.high):
            return ""
        if self.high == 0:
            return "accepts no arguments"
        if self.high is None:
            return f"requires at least {_counted(self.low)}"
        if self.high == self.low:
            return f"requires {_counted(self.low)}"
        if count > self.high and self.low == 0:
            return f"requires at most {_counted(self.high)}"
        return f"requires at least {self.low} and at most {_counted(self.high)}"


def _counted(number: int) -> str:
    return f"{number} argument" + ("" if number == 1 else "s")


NO_ARGUMENTS = Arguments(0, 0)
ONE = Arguments(1, 1)
TWO = Arguments(2, 2)
ONE_OR_MORE = Arguments(1, None)
ANY_NUMBER = Arguments(0, None)


class Command:
    """One command.

    `names` are its full spellings (`container ls`, `ps`), the canonical one first. `usage` is what follows the name.
    `about` is what `--help` says between the summary and the options. `completes` names what its arguments are, for the
    shell: `containers`, `running`, `images`, `contexts`, `files`; one per position, the last for all that follow.
    """

    __slots__ = (
        "about",
        "arguments",
        "completes",
        "flags",
        "interspersed",
        "names",
        "run",
        "since",
        "summary",
        "usage",
    )

    def __init__(
        self,
        names: Sequence[str],
        summary: str,
        usage: str,
        run: Run,
        *,
        arguments: Arguments,
        flags: Sequence[Flag] = (),
        interspersed: bool = True,
        about: str = "",
        completes: Sequence[str] = (),
        since: str = "",
    ) -> None:
        self.names = tuple(names)
        self.summary = summary
        self.usage = usage
        self.run = run
        self.arguments = arguments
        self.flags = tuple(flags)
        self.interspersed = interspersed
        self.about = about
        self.completes = tuple(completes)
        self.since = since

    def usage_line(self, name: str) -> str:
        return f"Usage:  {PROGRAM} {name} {self.usage}".rstrip()


class ExitStatus(Exception):
    """Leave with `status`; `message`, where there is one, is printed on stderr as it is."""

    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
