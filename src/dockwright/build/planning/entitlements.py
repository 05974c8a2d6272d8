"""What a build's steps ask for beyond the usual, and who has to allow it: whoever builds, and the engine.

BuildKit's rule: a build is granted what it names, out of what the engine allows; a step may use what its build was granted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from dockwright.build.planning.graph import Execute, Vertex
from dockwright.build.planning.plan import Options
from dockwright.build.policy import ENTITLEMENTS, NETWORK_HOST, SECURITY_INSECURE
from dockwright.errors import Forbidden, Invalid


class Asked(Protocol):
    """The part of a request that counts here."""

    @property
    def entitlements(self) -> frozenset[str]: ...

    @property
    def options(self) -> Options: ...


def check(wanted: Sequence[Vertex], asked: Asked, allowed: frozenset[str]) -> None:
    """Raises `Invalid` for an entitlement that there is none, `Forbidden` for one that nobody gave."""
    granted = set(asked.entitlements)
    if unknown := granted - set(ENTITLEMENTS):
        raise Invalid(f"unknown entitlement {min(unknown)!r}: there are {', '.join(ENTITLEMENTS)}")
    if asked.options.network == "host":  # who builds has said so for all steps
        granted.add(NETWORK_HOST)
    for one in sorted(granted - allowed):
        raise Forbidden(f"granting entitlement {one} is not allowed by build daemon configuration")
    for vertex in _steps(wanted):
        for one in _needs(vertex):
            if one not in granted:
                raise Forbidden(f"{vertex.title}: entitlement {one} is not allowed: grant it with --allow {one}")


def _needs(vertex: Execute) -> Iterable[str]:
    if vertex.security == "insecure":
        yield SECURITY_INSECURE
    if vertex.network == "host":
        yield NETWORK_HOST


def _steps(wanted: Sequence[Vertex]) -> Iterable[Execute]:
    seen: set[Vertex] = set()
    left = list(wanted)
    while left:
        if (one := left.pop()) in seen:
            continue
        seen.add(one)
        left += one.inputs
        if isinstance(one, Execute):
            yield one
