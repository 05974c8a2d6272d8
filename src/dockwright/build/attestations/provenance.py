"""Where an image comes from: SLSA's provenance, in the form that BuildKit gives it.

SLSA v1 and v0.2, "Provenance"; BuildKit, "SLSA definitions". In `min` there is nothing that may be told to nobody. When a build
began and ended, and an invocation's random ID, are told only by builds that keep times as Docker does: the same inputs give the
same provenance otherwise, and the same image.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import msgspec

from dockwright.build.attestations import recipe
from dockwright.build.attestations.asked import Attestations, Provenance
from dockwright.build.dockerfile.scope import PREDEFINED
from dockwright.build.outputs.result import Attestation
from dockwright.build.outputs.statements import digest_set, package_url
from dockwright.build.planning.graph import Base, Copy, Execute, Local, Vertex
from dockwright.build.solving.places import Origin
from dockwright.errors import Invalid
from dockwright.oci import digest as digests
from dockwright.oci import platform as platforms
from dockwright.oci import reference
from dockwright.units import rfc3339

PREDICATES = {"v1": "https://slsa.dev/provenance/v1", "v0.2": "https://slsa.dev/provenance/v0.2"}
_TYPE = "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md"
_TYPE_02 = "https://mobyproject.org/buildkit@v1"

Json = dict[str, Any]


@dataclass(frozen=True)
class Facts:
    """What is known of one platform's build. `times_ns` are its beginning and end, None where they are not to be told."""

    dockerfile: str
    text: bytes
    vertices: Sequence[Vertex]
    arguments: Mapping[str, str]
    labels: Mapping[str, str]
    target: str
    times_ns: tuple[int, int] | None
    # Where the files of other vertices than images came from.
    origins: Mapping[Vertex, Origin] = field(default_factory=dict)


def attest(asked: Attestations, facts: Facts) -> list[Attestation]:
    """The attestation, where one is wanted. Raises `Invalid` when complete materials are, and are not to be had."""
    wanted = asked.provenance
    if wanted is None:
        return []
    if wanted.complete and not _is_complete(facts):
        raise Invalid("complete-materials=true: the build's context is a directory, of which nobody else has a name")
    predicate = _predicate(wanted, asked.vcs, facts)
    if wanted.version == "v0.2":
        predicate = _as_02(predicate)
    return [
        Attestation(
            PREDICATES[wanted.version], msgspec.json.encode(predicate), wanted.file, inline_only=wanted.inline_only
        )
    ]


def _predicate(wanted: Provenance, vcs: Mapping[str, str], facts: Facts) -> Json:
    full = wanted.mode == "max"
    request = _request(facts, full=full)
    internal: Json = {"builderPlatform": str(platforms.host())}
    known: Json = {"vcs": dict(vcs)} if vcs else {}
    if full:
        internal["buildConfig"] = {"llbDefinition": recipe.steps(facts.vertices)}
        known["source"] = recipe.source(facts.vertices, facts.dockerfile, facts.text)
    definition: Json = {
        "buildType": _TYPE,
        "externalParameters": {"configSource": {"path": facts.dockerfile}, "request": request},
        "internalParameters": internal,
        "resolvedDependencies": _materials(facts),
    }
    metadata: Json = {
        "buildkit_metadata": known,
        "buildkit_hermetic": _is_complete(facts) and not _uses_network(facts),
        "buildkit_completeness": {"request": full, "resolvedDependencies": _is_complete(facts)},
        "buildkit_reproducible": wanted.reproducible,
    }
    if facts.times_ns is None:
        # The name of these very inputs.
        said = digests.of(msgspec.json.encode(definition, order="deterministic"))
        metadata["invocationId"] = digests.encoded(said)[:25]
    else:
        metadata["invocationId"] = secrets.token_hex(13)[:25]
        metadata["startedOn"], metadata["finishedOn"] = (rfc3339(time_ns) for time_ns in facts.times_ns)
    return {
        "buildDefinition": definition,
        "runDetails": {"builder": {"id": wanted.builder_id}, "metadata": metadata},
    }


def _request(facts: Facts, *, full: bool) -> Json:
    args = {"target": facts.target} if facts.target else {}
    request: Json = {"frontend": "dockerfile.v0"}
    if full:
        args |= {f"build-arg:{name}": text for name, text in facts.arguments.items() if name not in PREDEFINED}
        args |= {f"label:{name}": text for name, text in facts.labels.items()}
        for kind, key in (("secret", "secrets"), ("ssh", "ssh")):
            if lent := _lent(facts, kind):
                request[key] = lent
    if args:
        request["args"] = dict(sorted(args.items()))
    if _reads_context(facts):
        request["locals"] = [{"name": "context"}, {"name": "dockerfile"}]
    return request


def _lent(facts: Facts, kind: str) -> list[Json]:
    """The names of what was lent, never what it says."""
    found = {
        one.mount.id or "default": not one.mount.required
        for vertex in facts.vertices
        if isinstance(vertex, Execute)
        for one in vertex.mounts
        if one.mount.kind == kind
    }
    return [{"id": name, "optional": True} if optional else {"id": name} for name, optional in sorted(found.items())]


def _materials(facts: Facts) -> list[Json]:
    found: dict[str, Json] = {}
    for vertex in facts.vertices:
        if isinstance(vertex, Base) and vertex.reference:
            uri = _url_of(vertex)
            found[uri] = {"uri": uri, "digest": digest_set(vertex.image.id)}
        elif (origin := facts.origins.get(vertex)) is not None:
            found[origin.uri] = {"uri": origin.uri, "digest": {origin.algorithm: origin.digest}}
    return [found[uri] for uri in sorted(found)]


def _url_of(base: Base) -> str:
    """What a registry's image is called; one of this host alone (a layout, an ID) is called by its digest."""
    try:
        name = reference.parse(base.reference).tagged
    except Invalid:
        name = None
    if name is not None and (name.digest is not None or name in base.image.names):
        return package_url(name, base.image.platform)
    platform = quote(str(base.image.platform), safe="")
    return f"pkg:oci/image?digest={quote(base.image.id, safe='')}&platform={platform}"


def _reads_context(facts: Facts) -> bool:
    if any(isinstance(one, Local) for one in facts.vertices):
        return True
    return any(isinstance(one, Copy) and one.source is None and one.paths for one in facts.vertices) or any(
        mount.source is None and mount.mount.kind == "bind"
        for one in facts.vertices
        if isinstance(one, Execute)
        for mount in one.mounts
    )


def _is_complete(facts: Facts) -> bool:
    return not _reads_context(facts)


def _uses_network(facts: Facts) -> bool:
    return any(isinstance(one, Execute) and one.network != "none" for one in facts.vertices)


def _as_02(predicate: Json) -> Json:
    """The same as SLSA v0.2 has it."""
    definition, run = predicate["buildDefinition"], predicate["runDetails"]
    external, internal, metadata = definition["externalParameters"], definition["internalParameters"], run["metadata"]
    source = external["configSource"]
    found: Json = {
        "builder": run["builder"],
        "buildType": _TYPE_02,
        "invocation": {
            "configSource": {"entryPoint": source["path"]},
            "parameters": external["request"],
            "environment": {"platform": internal["builderPlatform"]},
        },
        "materials": definition["resolvedDependencies"],
        "metadata": {
            "buildInvocationID": metadata["invocationId"],
            "completeness": {
                "parameters": metadata["buildkit_completeness"]["request"],
                "environment": True,
                "materials": metadata["buildkit_completeness"]["resolvedDependencies"],
            },
            "reproducible": metadata["buildkit_reproducible"],
            "https://mobyproject.org/buildkit@v1#metadata": metadata["buildkit_metadata"],
            "https://mobyproject.org/buildkit@v1#hermetic": metadata["buildkit_hermetic"],
            **({"buildStartedOn": metadata["startedOn"]} if "startedOn" in metadata else {}),
            **({"buildFinishedOn": metadata["finishedOn"]} if "finishedOn" in metadata else {}),
        },
    }
    if "buildConfig" in internal:
        found["buildConfig"] = internal["buildConfig"]
    return found
