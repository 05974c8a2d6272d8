"""The files the engine writes for a container: hostname, hosts, resolv.conf, and where each is mounted."""

from __future__ import annotations

from pathlib import Path

from dockwright.container.parts import Parts
from dockwright.container.record import Record
from dockwright.network import Attachment
from dockwright.network import files as contents


def hostname(record: Record) -> str:
    """The container's host name: asked for, the host's own with --uts host, else the short id."""
    if record.spec.config.hostname:
        return record.spec.config.hostname
    if record.spec.host.uts_mode == "host" or record.spec.host.network_mode == "host":
        return Path("/proc/sys/kernel/hostname").read_text().strip()
    return record.id[:12]


def write(parts: Parts, record: Record, attachment: Attachment | None) -> dict[str, str]:
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
        "resolv.conf": _resolv_conf(parts, record),
        "hostname": contents.hostname_file(hostname(record)),
        "hosts": _hosts(parts, record, attachment),
    }
    for name, text in texts.items():
        (home / name).write_text(text)
    return {f"/etc/{name}": str(home / name) for name in texts}


def _hosts(parts: Parts, record: Record, attachment: Attachment | None) -> str:
    host, config = record.spec.host, record.spec.config
    is_host = host.network_mode == "host"
    gateway = ",".join(parts.defaults.host_gateway_ips) or (attachment.gateway if attachment else "127.0.0.1")
    return contents.etc_hosts(
        hostname(record),
        config.domainname,
        [attachment.ip] if attachment and attachment.ip else [],
        extra_hosts=host.extra_hosts or [],
        gateway_ip=gateway,
        base=Path("/etc/hosts").read_text() if is_host else None,
    )


def _resolv_conf(parts: Parts, record: Record) -> str:
    host, defaults = record.spec.host, parts.defaults
    return contents.resolv_conf(
        contents.host_resolv_conf(),
        dns=host.dns or defaults.dns,
        search=host.dns_search or defaults.dns_search,
        options=host.dns_options or defaults.dns_options,
        host_network=host.network_mode == "host",
    )
