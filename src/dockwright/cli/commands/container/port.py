"""`port`: where a container's ports are published."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import Arguments, Command
from dockwright.client.calls import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    container, *wanted = arguments
    found = session.client.json(containers.inspect(container))
    published = (found.get("NetworkSettings") or {}).get("Ports") or {}
    if not wanted:
        lines = [f"{port} -> {_address(b)}" for port, bindings in published.items() for b in bindings or ()]
        session.out("".join(f"{line}\n" for line in sorted(lines, key=_port_order)))
        return
    number, _, protocol = wanted[0].partition("/")
    port = f"{number}/{protocol or 'tcp'}"
    bindings = published.get(port)
    if not bindings:
        raise errors.NotFound(f"Error: No public port '{wanted[0]}' published for {container}")
    session.out("".join(f"{_address(binding)}\n" for binding in bindings))


def _address(binding: dict[str, str]) -> str:
    host, port = binding.get("HostIp", ""), binding.get("HostPort", "")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _port_order(line: str) -> tuple[int, str]:
    number = line.partition("/")[0]
    return (int(number) if number.isdigit() else 0, line)


COMMAND = Command(
    ("container port", "port"),
    "Show where the ports of a container are published",
    "CONTAINER [PRIVATE_PORT[/PROTO]]",
    run,
    arguments=Arguments(1, 2),
    completes=("running", ""),
)
