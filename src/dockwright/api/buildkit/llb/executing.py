"""Commands: `exec` operations as RUN steps."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from dockwright.api.buildkit.llb.results import Results, chosen
from dockwright.build.dockerfile.instructions.mounts import SHARING, Mount
from dockwright.build.lending.lender import DEFAULT_AGENT
from dockwright.build.planning.effects import DEFAULT_PATH
from dockwright.build.planning.graph import Execute, MountOf, Vertex
from dockwright.buildkit.proto import llb_pb2 as wire
from dockwright.errors import Invalid, Unsupported
from dockwright.oci import Platform

_NETWORKS = {0: "default", 1: "host", 2: "none"}
_SECURITY = {0: "sandbox", 1: "insecure"}
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")


def translate(
    op: wire.ExecOp, layers: Sequence[Vertex], inputs: Sequence[Vertex], title: str, platform: Platform | None
) -> Results:
    """`layers` are the `inputs` as what a command can stand on. Raises `Unsupported` for a field that cannot be done."""
    meta = op.meta
    _refuse(op)
    if not meta.args:
        raise Invalid("exec.meta.args: a command is wanted")
    roots = [one for one in op.mounts if posixpath.normpath(one.dest or "/") == "/"]
    if len(roots) != 1:
        raise Invalid(f"exec.mounts: one mount at / is wanted, there are {len(roots)}")
    (root,) = roots
    if root.mountType != wire.BIND or root.selector not in ("", "/", "."):
        raise Unsupported("exec.mounts: the mount at / is a whole tree: no other type and no selector are supported")
    cwd = posixpath.join("/", meta.cwd)
    mounts = [_mount(one, inputs, cwd) for one in op.mounts if one is not root]
    mounts += [_variable(one) for one in op.secretenv]
    env = tuple(meta.env)
    if not any(one.startswith("PATH=") for one in env):
        env += (f"PATH={DEFAULT_PATH}",)
    vertex = Execute(
        title=title or " ".join(meta.args),
        base=chosen(layers, root.input, "exec.mounts"),
        arguments=tuple(meta.args),
        env=env,
        working_dir=cwd,
        user=meta.user,
        network=_NETWORKS[op.network],
        security=_SECURITY[op.security],
        mounts=tuple(mounts),
        unkeyed=tuple(_proxies(meta.proxy_env)),
        platform=platform,
    )
    refused = {
        one.output: f"exec.mounts: what is written to {one.dest} cannot be used further: only the tree at / is kept"
        for one in op.mounts
        if one is not root and one.output >= 0
    }
    return Results({root.output: vertex} if root.output >= 0 else {}, (vertex,), refused)


def _refuse(op: wire.ExecOp) -> None:
    meta = op.meta
    found = {
        "meta.extraHosts": meta.extraHosts,
        "meta.hostname": meta.hostname,
        "meta.ulimit": meta.ulimit,
        "meta.cgroupParent": meta.cgroupParent,
        "meta.validExitCodes": [code for code in meta.validExitCodes if code],
        "cdiDevices": op.cdiDevices,
    }
    for name, value in found.items():
        if value:
            raise Unsupported(f"exec.{name} is not supported")
    if op.network not in _NETWORKS or op.security not in _SECURITY:
        raise Unsupported(f"exec: an unknown network ({op.network}) or security mode ({op.security})")


def _mount(one: wire.Mount, inputs: Sequence[Vertex], cwd: str) -> MountOf:
    target = posixpath.normpath(posixpath.join(cwd, one.dest))
    if one.resultID:
        raise Unsupported(f"exec.mounts: resultID of {one.dest} is not supported")
    match one.mountType:
        case wire.BIND:
            mount = Mount("bind", target, one.selector, readonly=one.readonly)
            return MountOf(mount, chosen(inputs, one.input, "exec.mounts"))
        case wire.CACHE:
            sharing = SHARING[one.cacheOpt.sharing] if 0 <= one.cacheOpt.sharing < len(SHARING) else ""
            if not sharing:
                raise Unsupported(
                    f"exec.mounts: cacheOpt.sharing {one.cacheOpt.sharing} of {one.dest} is not supported"
                )
            mount = Mount("cache", target, one.selector, id=one.cacheOpt.ID, sharing=sharing, readonly=one.readonly)
            return MountOf(mount, inputs[one.input] if 0 <= one.input < len(inputs) else None)
        case wire.TMPFS:
            return MountOf(Mount("tmpfs", target, readonly=False, size_bytes=one.TmpfsOpt.size or -1))
        case wire.SECRET:
            return MountOf(_lent("secret", target, one.secretOpt, one.secretOpt.ID))
        case wire.SSH:
            return MountOf(_lent("ssh", target, one.SSHOpt, one.SSHOpt.ID or DEFAULT_AGENT))
    raise Unsupported(f"exec.mounts: the type {one.mountType} of {one.dest} is not supported")


def _lent(kind: str, target: str, asked: wire.SecretOpt | wire.SSHOpt, id: str) -> Mount:
    return Mount(
        kind,
        target,
        id=id,
        required=not asked.optional,
        mode=asked.mode or -1,
        uid=asked.uid,
        gid=asked.gid,
    )


def _variable(one: wire.SecretEnv) -> MountOf:
    return MountOf(Mount("secret", id=one.ID or one.name, env=one.name, required=not one.optional))


def _proxies(given: wire.ProxyEnv) -> list[str]:
    """As variables, in both spellings; what is built does not depend on them."""
    found = {name: str(getattr(given, name)) for name in _PROXIES}
    return [f"{spelt}={value}" for name, value in found.items() if value for spelt in (name, name.upper())]
