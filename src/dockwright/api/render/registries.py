"""What the engine was told about registries, as `info` shows it."""

from __future__ import annotations

from typing import Any

from yarl import URL

from dockwright.distribution import RegistryOptions

_HUB = "docker.io"
# Loopback is insecure by itself.
_ALWAYS_INSECURE = ("::1/128", "127.0.0.0/8")


def registry_config(options: RegistryOptions) -> dict[str, Any]:
    """`RegistryServiceConfig`. Mirrors of other registries than the hub stand at their entry of `IndexConfigs`."""
    networks = [entry for entry in options.insecure if "/" in entry]
    hosts = {entry for entry in options.insecure if "/" not in entry}
    names = [_HUB, *sorted((hosts | set(options.mirrors)) - {_HUB})]
    return {
        "InsecureRegistryCIDRs": list(dict.fromkeys((*_ALWAYS_INSECURE, *networks))),
        "IndexConfigs": {
            name: {
                "Name": name,
                "Mirrors": _shown(options.mirrors.get(name, ())),
                "Secure": name not in hosts,
                "Official": name == _HUB,
            }
            for name in names
        },
        "Mirrors": _shown(options.mirrors.get(_HUB, ())),
    }


def _shown(mirrors: tuple[str, ...]) -> list[str]:
    """The mirrors' addresses, ending in a slash, without passwords."""
    return [str(URL(text).with_user(None)).rstrip("/") + "/" for text in mirrors]
