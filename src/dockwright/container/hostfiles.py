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
        "resolv.conf": _resolv_conf(parts, record, named=attachment is not None and attachment.dns),
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
    if before.dns != after.dns:
        path = home / "resolv.conf"
        if path.read_text() == _resolv_conf(parts, record, named=before.dns):
            path.write_text(_resolv_conf(parts, record, named=after.dns))


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


def _resolv_conf(parts: Parts, record: Record, *, named: bool) -> str:
    host, defaults = record.spec.host, parts.defaults
    own = replace(
        defaults,
        dns=host.dns or defaults.dns,
        dns_search=host.dns_search or defaults.dns_search,
        dns_options=host.dns_options or defaults.dns_options,
    )
    return resolv_conf(own, named=named, of_host=host.network_mode == "host")


def resolv_conf(defaults: Defaults, *, named: bool, of_host: bool) -> str:
    """What /etc/resolv.conf holds. `named`: the engine answers at an address of its own in the container."""
    search, options = defaults.dns_search, defaults.dns_options
    if named:
        return contents.internal_resolv_conf(contents.host_resolv_conf(), DNS_ADDRESS, search=search, options=options)
    return contents.resolv_conf(
        contents.host_resolv_conf(), dns=defaults.dns, search=search, options=options, host_network=of_host
    )
