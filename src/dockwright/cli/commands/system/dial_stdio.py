"""`system dial-stdio`: the engine's socket on standard input and output, for a client at the other end of ssh."""

from __future__ import annotations

import os

from dockwright.cli.command import NO_ARGUMENTS, Command
from dockwright.cli.session import STDIN, STDOUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session
    from dockwright.client.transport import Transport

_PIECE_BYTES = 64 * 1024


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.client.transport import connect

    transport = connect(session.endpoint())
    try:
        _join(session, transport)
    finally:
        transport.close()


def _join(session: Session, transport: Transport) -> None:
    """Both directions until the engine has said everything; the end of stdin is handed on as such."""
    from select import POLLIN, POLLOUT, poll

    reading = True
    while True:
        waiter = poll()
        waiter.register(transport.fileno(), POLLIN | POLLOUT if transport.unsent else POLLIN)
        if reading and not transport.unsent:
            waiter.register(STDIN, POLLIN)
        for descriptor, events in waiter.poll():
            if descriptor == STDIN:
                data = os.read(STDIN, _PIECE_BYTES)
                reading = bool(data)
                if data:
                    transport.queue(data)
                    transport.flush_some()
                else:
                    transport.close_write()
                continue
            if events & POLLOUT:
                transport.flush_some()
            if events & ~POLLOUT:
                data = transport.recv(_PIECE_BYTES)
                if not data:
                    return
                session.write(STDOUT, data)


COMMAND = Command(
    ("system dial-stdio",),
    "Join the engine's socket to standard input and output",
    "",
    run,
    arguments=NO_ARGUMENTS,
    about="For a client on another machine: it runs this through ssh and speaks the API over it.",
)
