"""The text of `info`."""

from __future__ import annotations

from dockwright.cli.display import units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def text(client: dict[str, Any], found: dict[str, Any]) -> str:
    """`client` is what we know of ourselves, `found` the engine's answer, empty where it gave none."""
    lines = [
        "Client:",
        f" Version:    {client['Version']}",
        f" Context:    {client['Context']}",
        f" Debug Mode: {_bool(client['Debug'])}",
        "",
        "Server:",
    ]
    return "\n".join([*lines, *(_server(found) if found else ())]) + "\n" + ("\n" if found else "")


def _bool(value: Any) -> str:
    return "true" if value else "false"


def _server(found: dict[str, Any]) -> Iterator[str]:
    yield f" Containers: {found.get('Containers', 0)}"
    for state in ("Running", "Paused", "Stopped"):
        yield f"  {state}: {found.get(f'Containers{state}', 0)}"
    yield f" Images: {found.get('Images', 0)}"
    yield f" Server Version: {found.get('ServerVersion', '')}"
    yield f" Storage Driver: {found.get('Driver', '')}"
    yield from (f"  {name}: {value}" for name, value in found.get("DriverStatus") or ())
    yield f" Logging Driver: {found.get('LoggingDriver', '')}"
    yield f" Cgroup Driver: {found.get('CgroupDriver', '')}"
    yield f" Cgroup Version: {found.get('CgroupVersion', '')}"
    yield from _plugins(found)
    yield from _runtimes(found)
    yield from _security(found)
    yield from _host(found)
    yield from _settings(found)


def _plugins(found: dict[str, Any]) -> Iterator[str]:
    plugins = found.get("Plugins") or {}
    yield " Plugins:"
    for kind in ("Volume", "Network", "Authorization", "Log"):
        names = plugins.get(kind) or []
        if names or kind in ("Volume", "Network", "Log"):
            yield f"  {kind}: {' '.join(names)}"
    directories = found.get("CDISpecDirs") or []
    if directories:
        yield " CDI spec directories:"
        yield from (f"  {path}" for path in directories)
    yield f" Swarm: {(found.get('Swarm') or {}).get('LocalNodeState', 'inactive') or 'inactive'}"


def _runtimes(found: dict[str, Any]) -> Iterator[str]:
    if found.get("Runtimes"):
        yield f" Runtimes: {' '.join(sorted(found['Runtimes']))}"
        yield f" Default Runtime: {found.get('DefaultRuntime', '')}"
    yield f" Init Binary: {found.get('InitBinary', '')}"
    for name, key in (("containerd", "ContainerdCommit"), ("runc", "RuncCommit"), ("init", "InitCommit")):
        yield f" {name} version: {(found.get(key) or {}).get('ID', '')}"


def _security(found: dict[str, Any]) -> Iterator[str]:
    options = found.get("SecurityOptions") or []
    if not options:
        return
    yield " Security Options:"
    for option in options:
        pairs = dict(part.partition("=")[::2] for part in option.split(","))
        yield f"  {pairs.pop('name', option)}"
        yield from (f"   {key.capitalize()}: {value}" for key, value in pairs.items())


def _host(found: dict[str, Any]) -> Iterator[str]:
    yield f" Kernel Version: {found.get('KernelVersion', '')}"
    yield f" Operating System: {found.get('OperatingSystem', '')}"
    yield f" OSType: {found.get('OSType', '')}"
    yield f" Architecture: {found.get('Architecture', '')}"
    yield f" CPUs: {found.get('NCPU', 0)}"
    yield f" Total Memory: {units.binary_size(found.get('MemTotal', 0))}"
    yield f" Name: {found.get('Name', '')}"
    yield f" ID: {found.get('ID', '')}"
    yield f" Docker Root Dir: {found.get('DockerRootDir', '')}"


def _settings(found: dict[str, Any]) -> Iterator[str]:
    yield f" Debug Mode: {_bool(found.get('Debug'))}"
    if found.get("Debug"):
        for title, key in (("File Descriptors", "NFd"), ("Goroutines", "NGoroutines"), ("System Time", "SystemTime")):
            yield f"  {title}: {found.get(key, '')}"
        yield f"  EventsListeners: {found.get('NEventsListener', 0)}"
    for title, key in (("HTTP Proxy", "HttpProxy"), ("HTTPS Proxy", "HttpsProxy"), ("No Proxy", "NoProxy")):
        if found.get(key):
            yield f" {title}: {found[key]}"
    if found.get("Labels"):
        yield " Labels:"
        yield from (f"  {label}" for label in found["Labels"])
    yield f" Experimental: {_bool(found.get('ExperimentalBuild'))}"
    yield from _registries(found.get("RegistryConfig") or {})
    yield f" Live Restore Enabled: {_bool(found.get('LiveRestoreEnabled'))}"
    if found.get("ProductLicense"):
        yield f" Product License: {found['ProductLicense']}"
    if found.get("DefaultAddressPools"):
        yield " Default Address Pools:"
        yield from (f"   Base: {pool['Base']}, Size: {pool['Size']}" for pool in found["DefaultAddressPools"])


def _registries(registry: dict[str, Any]) -> Iterator[str]:
    insecure = [name for name, one in (registry.get("IndexConfigs") or {}).items() if not one.get("Secure", True)]
    insecure += registry.get("InsecureRegistryCIDRs") or []
    if insecure:
        yield " Insecure Registries:"
        yield from (f"  {name}" for name in insecure)
    if registry.get("Mirrors"):
        yield " Registry Mirrors:"
        yield from (f"  {mirror}" for mirror in registry["Mirrors"])
