"""What clients are told that this engine can do."""

from __future__ import annotations

from dockwright import __version__
from dockwright.build.policy import Rule
from dockwright.buildkit.proto.caps_pb2 import APICap
from dockwright.buildkit.proto.llb_pb2 import Platform as WirePlatform
from dockwright.buildkit.proto.worker_pb2 import BuildkitVersion, GCPolicy, WorkerRecord
from dockwright.engine import Engine
from dockwright.oci import platform as platforms

# Of the calls that a build function makes.
FRONTEND = (
    "solve.base solve.inlinereturn resolveimage resolveimage.resolvemode readfile return returnmap readdir statfile "
    "importcaches proto.refarray reference.output frontend.inputs gateway.solve.metadata frontend.caps gateway.evaluate "
    "gateway.solve.evaluate gateway.warnings source.metaresolver"
).split()
# Of requests and definitions: what exporters, sources, operations and fields of them there are.
REQUESTS = (
    "source.image source.image.resolvemode source.image.checksum source.local source.local.unique "
    "source.local.sessionid source.local.includepatterns source.local.followpaths "
    "source.local.excludepatterns source.local.sharedkeyhint source.local.differ source.git "
    "source.git.keepgitdir source.git.fullurl source.git.httpauth source.git.knownsshhosts "
    "source.git.mountsshsock source.git.subdir source.git.checksum source.git.skipsubmodules source.http "
    "source.http.checksum source.http.perm soruce.http.uidgid source.ocilayout "
    "exec.meta.base exec.meta.network exec.meta.proxyenv exec.meta.security exec.meta.setsdefaultpath exec.mount.bind "
    "exec.mount.bind.readwrite-nooutput exec.mount.cache exec.mount.cache.sharing exec.mount.selector exec.mount.tmpfs "
    "exec.mount.tmpfs.size exec.mount.secret exec.mount.ssh exec.mount.cache.content exec.secretenv "
    "file.base file.rm.wildcard file.copy.modestring file.symlink.create mergeop diffop "
    "exporter.multiple exporter.image.annotations exporter.sourcedateepoch exporter.image.attestations "
    "constraints platform meta.ignorecache meta.description meta.exportcache gc.freespacefilter history.filter"
).split()


def caps(names: list[str]) -> list[APICap]:
    """As the wire has them."""
    return [APICap(ID=name, Enabled=True) for name in names]


async def worker(engine: Engine) -> WorkerRecord:
    """This engine as a worker of BuildKit's."""
    host = platforms.host()
    rules = await engine.builder.upkeep_rules()
    return WorkerRecord(
        ID=engine.id,
        Labels={
            "org.mobyproject.buildkit.worker.executor": "containerd",
            "org.mobyproject.buildkit.worker.snapshotter": "overlayfs",
            "org.mobyproject.buildkit.worker.network": "bridge",
            "org.mobyproject.buildkit.worker.moby.host-gateway-ip": _host_gateway(engine),
        },
        platforms=[WirePlatform(Architecture=host.architecture, OS=host.os, Variant=host.variant)],
        GCPolicy=[_policy(rule) for rule in rules],
        BuildkitVersion=version(),
    )


def _policy(rule: Rule) -> GCPolicy:
    """A rule of the build cache's upkeep."""
    space = rule.space
    return GCPolicy(
        all=rule.everything,
        keepDuration=int(rule.unused_s * 10**9),
        reservedSpace=space.reserved_bytes,
        maxUsedSpace=space.max_used_bytes,
        minFreeSpace=space.min_free_bytes,
        filters=[f"{name}=={value}" for name, values in rule.filters.items() for value in values],
    )


def _host_gateway(engine: Engine) -> str:
    """What `host-gateway` stands for in builds: clients write the address into the request."""
    given = engine.parts.defaults.host_gateway_ips
    return given[0] if given else next((one.gateway for one in engine.networks.networks() if one.name == "bridge"), "")


def version() -> BuildkitVersion:
    """Of BuildKit, what this engine is equal to."""
    return BuildkitVersion(
        package="dockwright", version=f"v0.23.0+dockwright.{__version__}", dockerfileVersion="1.17.0"
    )
