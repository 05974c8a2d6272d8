"""What a 401 asks for: the `WWW-Authenticate` header (RFC 9110, 11.6.1). No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_SCHEME = re.compile(rf"({_TOKEN})(?:\s+|$|(?=,))")
# Unquoted values are taken up to the next comma or space: servers write URLs there that are no tokens.
_PARAMETER = re.compile(rf'({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))', re.S)
_TOKEN68 = re.compile(r"[A-Za-z0-9\-._~+/]+=*\s*(?=,|$)")
_GAP = re.compile(r"[\s,]*")
_ESCAPED = re.compile(r"\\(.)", re.S)


@dataclass(frozen=True)
class Challenge:
    """One scheme (lower case) and its parameters (lower-case names)."""

    scheme: str
    parameters: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str:
        """A parameter's value; empty when it is missing."""
        return dict(self.parameters).get(name, "")


def parse(headers: Iterable[str]) -> list[Challenge]:
    """Every challenge of the headers' values, in order. What makes no sense ends its header: no input raises."""
    return [challenge for header in headers for challenge in _parse(header)]


def choose(challenges: Iterable[Challenge]) -> Challenge | None:
    """The one to answer: a bearer token with a realm, else a password; None when neither is offered."""
    known = list(challenges)
    for challenge in known:
        if challenge.scheme == "bearer" and challenge.get("realm"):
            return challenge
    return next((challenge for challenge in known if challenge.scheme == "basic"), None)


def _parse(header: str) -> list[Challenge]:
    found: list[tuple[str, list[tuple[str, str]]]] = []
    at = _skip(header, 0)
    while at < len(header):
        parameter = _PARAMETER.match(header, at)
        if parameter is not None and found:
            name, quoted, plain = parameter.groups()
            found[-1][1].append((name.lower(), plain if quoted is None else _ESCAPED.sub(r"\1", quoted)))
            at = _skip(header, parameter.end())
            continue
        scheme = _SCHEME.match(header, at)
        if scheme is None:
            break
        found.append((scheme[1].lower(), []))
        at = scheme.end()
        if opaque := _TOKEN68.match(header, at):
            at = opaque.end()
        at = _skip(header, at)
    return [Challenge(scheme, tuple(parameters)) for scheme, parameters in found]


def _skip(header: str, at: int) -> int:
    gap = _GAP.match(header, at)
    return gap.end() if gap else at
