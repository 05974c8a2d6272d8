"""Volumes: data that outlives containers. The local driver, plugins, the manager, and copies (snapshots, clones, archives)."""

from dockwright.volume.copies import Copies, Snapshot, split
from dockwright.volume.local import LocalVolumes
from dockwright.volume.manager import Volumes
from dockwright.volume.plugins import Plugins
from dockwright.volume.seam import Seen, VolumeDriver
from dockwright.volume.volume import ANONYMOUS, VOLUME_SCHEMA, Volume, check_name

__all__ = [
    "ANONYMOUS",
    "VOLUME_SCHEMA",
    "Copies",
    "LocalVolumes",
    "Plugins",
    "Seen",
    "Snapshot",
    "Volume",
    "VolumeDriver",
    "Volumes",
    "check_name",
    "split",
]
