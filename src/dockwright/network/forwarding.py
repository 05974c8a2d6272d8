"""Another engine's FORWARD policy: an accept in our table does not overrule a drop in somebody else's."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dockwright import workers
from dockwright.network.nft import Nft

_USER_CHAIN = "DOCKER-USER"


_LEGACY_TABLES = Path("/proc/net/ip_tables_names")


async def forward_drop_warning(nft: Nft, bridges: Sequence[str]) -> str:
    """A sentence with the one command that helps when a chain at the forward hook drops by policy, else empty.

    Sees nftables, iptables-nft and iptables-legacy tables. Rules that accept our bridges in that chain silence it.
    """
    entries = await nft.read("list ruleset")
    command = _in_nftables(entries, bridges) or await workers.quick(_in_legacy_tables, bridges)
    if not command:
        return ""
    return (
        f"another engine's FORWARD policy drops what is forwarded: containers on {', '.join(bridges)} cannot be reached or "
        f"reach out until you run: {command}"
    )


def _in_nftables(entries: list[dict[str, Any]], bridges: Sequence[str]) -> str:
    chains = [entry["chain"] for entry in entries if "chain" in entry]
    rules = [entry["rule"] for entry in entries if "rule" in entry]
    for chain in chains:
        if chain.get("hook") != "forward" or chain.get("policy") != "drop" or chain["family"] not in ("ip", "inet"):
            continue
        place = (chain["family"], chain["table"])
        accepting = [
            rule["expr"]
            for rule in rules
            if (rule["family"], rule["table"]) == place and rule["chain"] in (chain["name"], _USER_CHAIN)
        ]
        left = [bridge for bridge in bridges if not any(_names(expression, bridge) for expression in accepting)]
        if left:
            users = any((other["family"], other["table"], other["name"]) == (*place, _USER_CHAIN) for other in chains)
            into = f"{chain['family']} {chain['table']} {_USER_CHAIN if users else chain['name']}"
            names = "{ " + ", ".join(f'"{bridge}"' for bridge in left) + " }" if len(left) > 1 else f'"{left[0]}"'
            return f"nft 'insert rule {into} iifname {names} accept; insert rule {into} oifname {names} accept'"
    return ""


def _in_legacy_tables(bridges: Sequence[str]) -> str:
    try:
        active = "filter" in _LEGACY_TABLES.read_text().split()
    except OSError:
        return ""
    program = shutil.which("iptables-legacy")
    if not active or program is None:
        return ""  # asking about a table that is not there would make it
    shown = subprocess.run([program, "-S"], capture_output=True, text=True, check=False, timeout=10).stdout.splitlines()
    left = [b for b in bridges if not any(f" {b} " in line and line.endswith("-j ACCEPT") for line in shown)]
    if "-P FORWARD DROP" not in shown or not left:
        return ""
    chain = _USER_CHAIN if f"-N {_USER_CHAIN}" in shown else "FORWARD"
    ways = (f"{program} -I {chain} {way} {bridge} -j ACCEPT" for bridge in left for way in ("-i", "-o"))
    return " && ".join(ways)


def _names(expression: object, bridge: str) -> bool:
    """Whether a rule both names the bridge and accepts."""
    text = repr(expression)
    return repr(bridge) in text and "'accept'" in text
