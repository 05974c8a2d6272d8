"""Pure data of the OCI and Docker image formats: digests, references, platforms, descriptors, manifests, configurations.

What belongs here: bytes in, values out. What does not: any I/O, any policy about what to keep or run.
Use the modules `digest`, `reference`, `platform` and `mediatypes` by their names (`digest.parse`, `reference.parse`).
"""

from dockwright.oci import digest, mediatypes, platform, reference
from dockwright.oci.config import Healthcheck, History, ImageConfig, RootFS, RunConfig, chain_ids, read_config, write
from dockwright.oci.descriptor import Descriptor, Index, Manifest, describe, detect, read_index, read_manifest
from dockwright.oci.digest import Digest
from dockwright.oci.platform import Platform
from dockwright.oci.reference import Reference

__all__ = [
    "Descriptor",
    "Digest",
    "Healthcheck",
    "History",
    "ImageConfig",
    "Index",
    "Manifest",
    "Platform",
    "Reference",
    "RootFS",
    "RunConfig",
    "chain_ids",
    "describe",
    "detect",
    "digest",
    "mediatypes",
    "platform",
    "read_config",
    "read_index",
    "read_manifest",
    "reference",
    "write",
]
