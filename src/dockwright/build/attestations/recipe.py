"""The graph of a build as BuildKit's provenance tells it: operations in LLB's form, and where the Dockerfile asks for them.

BuildKit, "SLSA definitions", `buildConfig.llbDefinition` and `buildkit_metadata.source`. Nothing that was lent to a step is in
it: of secrets the names alone, and of the variables for proxies, which may hold passwords, nothing.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from dockwright.build.planning.graph import Base, Copy, Download, Execute, MakeDirectory, Repository, Scratch, Vertex
from dockwright.build.sources.gitref import redacted

Json = dict[str, Any]


def steps(vertices: Sequence[Vertex]) -> list[Json]:
    """The operations, each after what it needs."""
    numbers = _numbers(vertices)
    return [
        {"id": f"step{number}", "op": _operation(one), "inputs": _inputs(one, numbers)}
        for one, number in numbers.items()
    ]


def source(vertices: Sequence[Vertex], name: str, text: bytes) -> Json:
    """Where operations stand in the Dockerfile `text`."""
    locations = {
        f"step{number}": {"locations": [{"ranges": [{"start": {"line": one.lines[0]}, "end": {"line": one.lines[1]}}]}]}
        for one, number in _numbers(vertices).items()
        if one.lines[0]
    }
    info = {"filename": name, "language": "Dockerfile", "data": base64.b64encode(text).decode()}
    return {"locations": locations, "infos": [info]}


def _numbers(vertices: Sequence[Vertex]) -> dict[Vertex, int]:
    return {one: number for number, one in enumerate(one for one in vertices if not isinstance(one, Scratch))}


def _inputs(vertex: Vertex, numbers: dict[Vertex, int]) -> list[str]:
    return [f"step{numbers[one]}:0" for one in vertex.inputs if one in numbers]


def _operation(vertex: Vertex) -> Json:
    match vertex:
        case Base():
            identifier = f"docker-image://{vertex.reference}@{vertex.image.id}"
            return {"Op": {"source": {"identifier": identifier}}, "platform": _platform(vertex)}
        case Execute():
            return {"Op": {"exec": _execute(vertex)}}
        case Copy():
            actions = [{"Action": {"copy": _copy(vertex, path)}} for path in vertex.paths]
            actions += [{"Action": {"mkfile": {"path": vertex.destination}}} for _ in vertex.inline]
            return {"Op": {"file": {"actions": actions}}}
        case MakeDirectory():
            return {"Op": {"file": {"actions": [{"Action": {"mkdir": {"path": vertex.path, "makeParents": True}}}]}}}
        case Repository():
            return {"Op": {"source": {"identifier": f"git://{vertex.ref.shown}"}}}
        case Download():
            return {"Op": {"source": {"identifier": redacted(vertex.url)}}}
    return {"Op": {"source": {"identifier": "local://"}}}


def _platform(vertex: Base) -> Json:
    platform = vertex.image.platform
    return {"Architecture": platform.architecture, "OS": platform.os, "Variant": platform.variant}


def _execute(vertex: Execute) -> Json:
    meta: Json = {"args": vertex.arguments, "env": vertex.env, "cwd": vertex.working_dir, "user": vertex.user}
    kinds = {"bind": 0, "secret": 1, "ssh": 2, "cache": 3, "tmpfs": 4}
    mounts = [{"input": 0, "dest": "/", "output": 0}]
    mounts += [
        {"dest": one.mount.target, "mountType": kinds.get(one.mount.kind, 0), "readonly": one.mount.readonly}
        for one in vertex.mounts
    ]
    network = {"none": 2, "host": 1}.get(vertex.network, 0)
    return {"meta": meta, "mounts": mounts, "network": network}


def _copy(vertex: Copy, path: str) -> Json:
    return {"src": path, "dest": vertex.destination, "createDestPath": True}
