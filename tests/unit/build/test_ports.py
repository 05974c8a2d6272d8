"""The ports of EXPOSE."""

from __future__ import annotations

import pytest

from dockwright.build.dockerfile import DockerfileError, parse
from dockwright.build.dockerfile.instructions.expose import Expose
from dockwright.build.planning import ports


def exposed(text: str) -> list[str]:
    (one,) = parse(f"FROM a\nEXPOSE {text}").stages[0].instructions
    assert isinstance(one, Expose)
    return ports.exposed(one)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("80", ["80/tcp"]),
        ("80/UDP", ["80/udp"]),
        ("80/", ["80/tcp"]),
        ("0", ["0/tcp"]),
        ("65535/sctp", ["65535/sctp"]),
        ("80-82", ["80/tcp", "81/tcp", "82/tcp"]),
        ("80-80/udp", ["80/udp"]),
        ("90 80", ["80/tcp", "90/tcp"]),
        ("8080:80", ["80/tcp"]),
        ("127.0.0.1:8080:80/udp", ["80/udp"]),
        ("127.0.0.1::80", ["80/tcp"]),
        ("[::1]:8080:80", ["80/tcp"]),
        ("8000-8002:80-82", ["80/tcp", "81/tcp", "82/tcp"]),
        ("8000-8002:80", ["80/tcp"]),
    ],
)
def test_what_is_exposed(text: str, found: list[str]) -> None:
    assert exposed(text) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("eighty", "invalid containerPort: eighty"),
        ("65536", "invalid containerPort: 65536"),
        ("82-80", "invalid containerPort: 82-80"),
        ("-80", "invalid containerPort: -80"),
        ("80/icmp", "invalid proto: icmp"),
        ("/tcp", "no port specified"),
        ("x:80", "invalid hostPort: x"),
        ("1-3:80-81", "invalid ranges specified for container and host Ports: 80-81 and 1-3"),
        ("1.2.3:80:80", "invalid IP address: 1.2.3"),
    ],
)
def test_what_is_no_port(text: str, message: str) -> None:
    with pytest.raises(DockerfileError, match="Dockerfile:2:8: ") as raised:
        exposed(text)
    assert message in str(raised.value)
