"""Another engine's FORWARD policy: an accept in our table does not overrule a drop in somebody else's."""

from __future__ import annotations

from dockwright.network.nft import Nft


async def forward_drop_warning(nft: Nft, bridge: str) -> str:
    """A sentence with the one command that helps when a chain at the forward hook drops by policy, else empty.

    Sees nftables and iptables-nft tables. Rules that accept our bridge in that chain silence it.
    """
    entries = await nft.read("list ruleset")
    chains = [entry["chain"] for entry in entries if "chain" in entry]
    rules = [entry["rule"] for entry in entries if "rule" in entry]
    for chain in chains:
        if chain.get("hook") != "forward" or chain.get("policy") != "drop" or chain["family"] not in ("ip", "inet"):
            continue
        place = (chain["family"], chain["table"])
        accepted = [
            rule
            for rule in rules
            if (rule["family"], rule["table"]) == place
            and rule["chain"] in (chain["name"], "DOCKER-USER")
            and _names(rule["expr"], bridge)
        ]
        if accepted:
            continue
        where = f"{chain['family']} {chain['table']} {chain['name']}"
        users = any((other["family"], other["table"], other["name"]) == (*place, "DOCKER-USER") for other in chains)
        into = f"{chain['family']} {chain['table']} {'DOCKER-USER' if users else chain['name']}"
        return (
            f"the host drops forwarded packets (policy drop of {where}); containers on {bridge} cannot be reached or reach "
            f'out until you run: nft \'insert rule {into} iifname "{bridge}" accept; '
            f'insert rule {into} oifname "{bridge}" accept\''
        )
    return ""


def _names(expression: object, bridge: str) -> bool:
    """Whether a rule both names the bridge and accepts."""
    text = repr(expression)
    return repr(bridge) in text and "'accept'" in text
