"""The link inside a sandbox: its addresses, routes and settings. Everything here runs in the namespace thread."""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
from pathlib import Path

from dockwright import faults
from dockwright.errors import HostFailure, Invalid
from dockwright.network.drivers.settings import sysctls
from dockwright.network.model import Endpoint
from dockwright.network.netlink import Netlink

log = logging.getLogger(__name__)

SYSCTL = Path("/proc/sys")


def configure(inner: Netlink, endpoint: Endpoint) -> None:
    """Give the endpoint's link its addresses, bring it up and send by default through it; the thread is in the sandbox."""
    link = inner.link(endpoint.interface)
    if link is None:
        raise HostFailure(f"{endpoint.interface} did not appear in {endpoint.sandbox}")
    has_ipv6 = bool(endpoint.address6) or any(":" in address for address in endpoint.join.link_local)
    folder = SYSCTL / "net/ipv6/conf" / endpoint.interface
    if has_ipv6:
        write_sysctl(folder / "accept_dad", "0")  # its address is its own alone, and used at once
        write_sysctl(folder / "accept_ra", "0")
    write_sysctl(folder / "disable_ipv6", "0" if has_ipv6 else "1")
    for interface in endpoint.interfaces:
        inner.add_address(link.index, interface)
    inner.set_up(link.index)
    for gateway in (endpoint.gateway, endpoint.gateway6):
        if gateway:
            route_by(inner, link.index, gateway)
    if endpoint.join.options:
        _apply_sysctls(endpoint)


def route_by(inner: Netlink, index: int, gateway: str) -> None:
    """Send by default to a gateway through a link; an unspecified address means straight out of the link (ipvlan l3)."""
    address = ipaddress.ip_address(gateway)
    if address.is_unspecified:
        inner.add_device_route(address.version, index)
    else:
        inner.add_default_route(address, index)


def _apply_sysctls(endpoint: Endpoint) -> None:
    faults.point("network.sysctls")
    for name, value in sysctls(endpoint.join.options, endpoint.interface).items():
        try:
            (SYSCTL / name).write_text(value)
        except OSError as error:
            spelled = name.replace("/", ".")
            raise Invalid(f"failed to set {spelled}={value}: {(error.strerror or str(error)).lower()}") from error


def write_sysctl(path: Path, value: str) -> None:
    """Write a setting; a kernel without it, or one that does not let us, is no error."""
    try:
        path.write_text(value)
    except FileNotFoundError:
        pass  # a kernel without IPv6
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise HostFailure(f"{path}: {os.strerror(error.errno or 0).lower()}") from error
        log.warning("%s: %s", path, error.strerror)
