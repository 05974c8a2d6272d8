"""Legacy links of the default bridge: another container's address in `hosts`, its ports and variables in the environment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from dockwright.container import ports
from dockwright.container.parts import Parts
from dockwright.container.record import Record
from dockwright.errors import Conflict, Invalid, NotFound
from dockwright.network import Place
from dockwright.network.files import Link

RecordOf = Callable[[str], Record]
_NOT_PASSED_ON = ("HOME", "PATH")


@dataclass(frozen=True)
class Linked:
    """One link that holds: the other container, its address, and what it is called here."""

    target: Record
    alias: str
    ip: str


def parse(text: str) -> tuple[str, str]:
    """`NAME` or `NAME:ALIAS`, also as inspect shows it: `/NAME:/ME/ALIAS`. Raises `Invalid` with Docker's words."""
    name, found, alias = text.partition(":")
    if not name or (found and not alias) or ":" in alias:
        raise Invalid(f"bad format for links: {text}")
    return name.removeprefix("/"), alias.rpartition("/")[2] or name.removeprefix("/")


def resolve(texts: Iterable[str], record_of: RecordOf) -> list[str]:
    """Links with the id in place of the name: a rename of the target changes nothing. Raises `Invalid`."""
    found = []
    for text in texts:
        name, alias = parse(text)
        try:
            target = record_of(name)
        except NotFound:
            raise Invalid(f"could not get container for {name}") from None
        if is_elsewhere(target):
            raise Conflict(f"cannot link to a container that is not on the default bridge: /{target.name}")
        found.append(f"{target.id}:{alias}")
    return found


def targets(record: Record) -> list[tuple[str, str]]:
    """Whom a container is linked to on the default bridge, as (id, alias)."""
    return [parse(text) for text in record.spec.host.links or []]


def is_elsewhere(record: Record) -> bool:
    """Whether a container has no place on the default bridge."""
    return record.spec.host.network_mode not in ("default", "bridge") and "bridge" not in record.spec.endpoints


def holding(parts: Parts, record: Record, record_of: RecordOf) -> list[Linked]:
    """The links of a container that is about to start. Raises `Conflict` for a target that does not run."""
    found = []
    for target, alias, place in _walk(parts, record, record_of):
        if place is None:
            raise Conflict(f"Cannot link to a non running container: /{target.name} AS /{record.name}/{alias}")
        found.append(Linked(target, alias, place.ip))
    return found


def current(parts: Parts, record: Record, record_of: RecordOf) -> list[Linked]:
    """The links of a container whose targets run now."""
    links = _walk(parts, record, record_of)
    return [Linked(target, alias, place.ip) for target, alias, place in links if place]


def _walk(parts: Parts, record: Record, record_of: RecordOf) -> Iterator[tuple[Record, str, Place | None]]:
    """Each link's target, its alias, and where it is on the default bridge: None while it does not run."""
    for reference, alias in targets(record):
        try:
            target = record_of(reference)
        except NotFound:
            continue  # removed since: Docker drops the link with its target
        yield target, alias, _place(parts, target)


def _place(parts: Parts, target: Record) -> Place | None:
    attachment = parts.networks.attachment(target.id)
    return attachment.place("bridge") if attachment else None


def environment(record: Record, links: Iterable[Linked]) -> list[str]:
    """`ALIAS_PORT_80_TCP=tcp://…` and the like, as Docker's."""
    entries: list[str] = []
    for link in links:
        prefix = link.alias.replace("-", "_").upper()
        exposed = sorted(ports.parse(text) for text in ports.expand(link.target.spec.config.exposed_ports or {}))
        if exposed:
            number, protocol = exposed[0]
            entries.append(f"{prefix}_PORT={protocol}://{link.ip}:{number}")
        for number, protocol in exposed:
            one = f"{prefix}_PORT_{number}_{protocol.upper()}"
            entries += [
                f"{one}={protocol}://{link.ip}:{number}",
                f"{one}_ADDR={link.ip}",
                f"{one}_PORT={number}",
                f"{one}_PROTO={protocol}",
            ]
        entries.append(f"{prefix}_NAME=/{record.name}/{link.alias}")
        for entry in link.target.spec.config.env or []:
            name, found, value = entry.partition("=")
            if found and name not in _NOT_PASSED_ON:
                entries.append(f"{prefix}_ENV_{name}={value}")
    return entries


def hosts(links: Iterable[Linked]) -> list[Link]:
    """Their lines in `/etc/hosts`."""
    return [
        Link(link.ip, tuple(dict.fromkeys((link.alias, link.target.spec.config.hostname, link.target.name))))
        for link in links
    ]


def shown(record: Record, name_of: Callable[[str], str]) -> list[str] | None:
    """`HostConfig.Links` as inspect shows them: `/TARGET:/ME/ALIAS`."""
    links = [parse(text) for text in record.spec.host.links or []]
    return [f"/{name_of(reference)}:/{record.name}/{alias}" for reference, alias in links] or None
