"""Another engine's FORWARD policy: an accept in our table does not overrule a drop in somebody else's."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from dockwright import workers
from dockwright.network.nft import Nft

_USER_CHAIN = "DOCKER-USER"


_LEGACY_TABLES = Path("/proc/net/ip_tables_names")


async def forward_drop_warning(nft: Nft, bridge: str) -> str:
    """A sentence with the one command that helps when a chain at the forward hook drops by policy, else empty.

    Sees nftables, iptables-nft and iptables-legacy tables. Rules that accept our bridge in that chain silence it.
    """
    command = _in_nftables(await nft.read("list ruleset"), bridge) or await workers.quick(_in_legacy_tables, bridge)
    if not command:
        return ""
    return (
        f"another engine's FORWARD policy drops what is forwarded: containers on {bridge} cannot be reached or reach out "
        f"until you run: {command}"
    )


def _in_nftables(entries: list[dict[str, Any]], bridge: str) -> str:
    chains = [entry["chain"] for entry in entries if "chain" in entry]
    rules = [entry["rule"] for entry in entries if "rule" in entry]
    for chain in chains:
        if chain.get("hook") != "forward" or chain.get("policy") != "drop" or chain["family"] not in ("ip", "inet"):
            continue
        place = (chain["family"], chain["table"])
        accepted = any(
            (rule["family"], rule["table"]) == place
            and rule["chain"] in (chain["name"], _USER_CHAIN)
            and _names(rule["expr"], bridge)
            for rule in rules
        )
        if not accepted:
            users = any((other["family"], other["table"], other["name"]) == (*place, _USER_CHAIN) for other in chains)
            into = f"{chain['family']} {chain['table']} {_USER_CHAIN if users else chain['name']}"
            return f'nft \'insert rule {into} iifname "{bridge}" accept; insert rule {into} oifname "{bridge}" accept\''
    return ""


def _in_legacy_tables(bridge: str) -> str:
    try:
        active = "filter" in _LEGACY_TABLES.read_text().split()
    except OSError:
        return ""
    program = shutil.which("iptables-legacy")
    if not active or program is None:
        return ""  # asking about a table that is not there would make it
    shown = subprocess.run([program, "-S"], capture_output=True, text=True, check=False, timeout=10).stdout.splitlines()
    accepted = any(f" {bridge} " in line and line.endswith("-j ACCEPT") for line in shown)
    if "-P FORWARD DROP" not in shown or accepted:
        return ""
    chain = _USER_CHAIN if f"-N {_USER_CHAIN}" in shown else "FORWARD"
    return f"{program} -I {chain} -i {bridge} -j ACCEPT && {program} -I {chain} -o {bridge} -j ACCEPT"


def _names(expression: object, bridge: str) -> bool:
    """Whether a rule both names the bridge and accepts."""
    text = repr(expression)
    return repr(bridge) in text and "'accept'" in text
