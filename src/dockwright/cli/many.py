"""Commands over several things: each is tried, what worked is printed, what failed is told at the end with status 1."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import ExitStatus
from dockwright.cli.main import describe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dockwright.cli.session import Session
    from dockwright.client.call import Call


def one_by_one(session: Session, names: Iterable[str], act: Callable[[str], str | None]) -> None:
    """Call `act` for each name and print its answer, the name itself where it has none. Raises `ExitStatus`."""
    failed = []
    for name in names:
        try:
            answer = act(name)
        except errors.DockwrightError as error:
            failed.append(describe(error))
            continue
        session.line(name if answer is None else answer)
    _tell(failed)


def together(session: Session, names: Sequence[str], call: Callable[[str], Call]) -> None:
    """Send the calls for all names at once; print the names that worked. Raises `ExitStatus`."""
    failed = []
    outcomes = session.client.run_together([call(name) for name in names])
    for name, error in zip(names, outcomes, strict=True):
        if error is None or isinstance(error, errors.NotModified):
            session.line(name)
        else:
            failed.append(describe(error))
    _tell(failed)


def _tell(failed: Sequence[str]) -> None:
    if failed:
        raise ExitStatus(1, "\n".join(failed))
