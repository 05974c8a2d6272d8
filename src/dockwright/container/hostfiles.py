"""The files the engine writes for a container: hostname, hosts, resolv.conf, and where each is mounted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dockwright.container.parts import Defaults, Parts
from dockwright.container.record import Record
from dockwright.network import Attachment
from dockwright.network import files as contents
from dockwright.network.dns import ADDRESS as DNS_ADDRESS


def hostname(record: Record) -> str:
    """The container's host name: asked for, the host's own with --uts host, else the short id."""
    if record.spec.config.hostname:
        return record.spec.config.hostname
    if record.spec.host.uts_mode == "host" or record.spec.host.network_mode == "host":
        return Path("/proc/sys/kernel/hostname").read_text().strip()
    return record.id[:12]


def write(
    parts: Parts, record: Record, attachment: Attachment | None, links: Sequence[contents.Link] = ()
) -> dict[str, str]:
    """Write the three files into the container's home and return where they are mounted: container path to host path.

    A container that shares another's network shares its files. Raises `Invalid` for a bad extra host.
    """
    host = record.spec.host
    if host.network_mode.startswith("container:"):
        home = parts.paths.home(host.network_mode.partition(":")[2])
        return {
            f"/etc/{name}": str(home / name) for name in ("resolv.conf", "hostname", "hosts") if (home / name).exists()
        }
    home = parts.paths.home(record.id)
    texts = {
        "resolv.conf": _resolv_conf(parts, record, attachment),
        "hostname": contents.hostname_file(hostname(record)),
        "hosts": _hosts(parts, record, attachment, links),
    }
    for name, text in texts.items():
        (home / name).write_text(text)
    return {f"/etc/{name}": str(home / name) for name in texts}


def follow(parts: Parts, record: Record, before: Attachment, after: Attachment) -> None:
    """Bring the files of a running container up to date after a connect or disconnect.

    They are written in place, for they are mounted; lines that are not ours stay, and so does a resolv.conf somebody changed.
    """
    home = parts.paths.home(record.id)
    gone, came = set(before.addresses) - set(after.addresses), [a for a in after.addresses if a not in before.addresses]
    if gone or came:
        path = home / "hosts"
        kept = [line for line in path.read_text().splitlines() if line.partition("\t")[0] not in gone]
        new = contents.own_lines(hostname(record), record.spec.config.domainname, came)
        path.write_text("".join(line + "\n" for line in (*kept, *new)))
    was, becomes = _resolv_conf(parts, record, before), _resolv_conf(parts, record, after)
    path = home / "resolv.conf"
    if was != becomes and path.read_text() == was:
        path.write_text(becomes)


def relink(parts: Parts, record: Record, links: Sequence[contents.Link], gone: str = "") -> None:
    """Bring the links in the hosts file of a running container up to date; `gone` is the alias of one that is no more.

    Lines that are not ours stay, and so does a link whose target does not run.
    """
    path = parts.paths.home(record.id) / "hosts"
    wanted = {link.names[0]: f"{link.ip}\t{' '.join(link.names)}" for link in links}
    lines = []
    for line in path.read_text().splitlines():
        alias = line.partition("\t")[2].partition(" ")[0]
        if not alias or alias != gone:
            lines.append(wanted.pop(alias, line))
    path.write_text("".join(line + "\n" for line in (*lines, *wanted.values())))


def _hosts(parts: Parts, record: Record, attachment: Attachment | None, links: Sequence[contents.Link]) -> str:
    host, config = record.spec.host, record.spec.config
    return hosts(
        parts.defaults,
        attachment,
        hostname(record),
        config.domainname,
        extra_hosts=host.extra_hosts or [],
        links=links,
        of_host=host.network_mode == "host",
    )


def hosts(
    defaults: Defaults,
    attachment: Attachment | None,
    hostname: str,
    domainname: str = "",
    *,
    extra_hosts: Sequence[str],
    links: Sequence[contents.Link] = (),
    of_host: bool,
) -> str:
    """What /etc/hosts holds; with `of_host` the host's own lines first. Raises `Invalid` for a bad extra host."""
    near = next((place.gateway for place in attachment.places if place.gateway), "") if attachment else "127.0.0.1"
    return contents.etc_hosts(
        hostname,
        domainname,
        attachment.addresses if attachment else (),
        extra_hosts=list(extra_hosts),
        gateway_ip=",".join(defaults.host_gateway_ips) or near,
        links=links,
        base=Path("/etc/hosts").read_text() if of_host else None,
    )


def _resolv_conf(parts: Parts, record: Record, attachment: Attachment | None) -> str:
    host, defaults = record.spec.host, parts.defaults
    own = replace(
        defaults,
        dns=host.dns or defaults.dns,
        dns_search=host.dns_search or defaults.dns_search,
        dns_options=host.dns_options or defaults.dns_options,
    )
    return resolv_conf(own, attachment, of_host=host.network_mode == "host")


def resolv_conf(defaults: Defaults, attachment: Attachment | None, *, of_host: bool) -> str:
    """What /etc/resolv.conf holds. Where names are answered inside, the engine's own address is the only server."""
    search, options = defaults.dns_search, defaults.dns_options
    if attachment is not None and attachment.dns:
        return contents.internal_resolv_conf(contents.host_resolv_conf(), DNS_ADDRESS, search=search, options=options)
    return contents.resolv_conf(
        contents.host_resolv_conf(),
        dns=defaults.dns,
        search=search,
        options=options,
        ipv6=attachment is not None and attachment.ipv6,
        host_network=of_host,
    )
