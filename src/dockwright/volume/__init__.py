"""Volumes: directories that outlive containers. The local driver and the seam; more drivers and verbs come later."""

from dockwright.volume.local import LocalVolumes
from dockwright.volume.manager import VOLUME_SCHEMA, Volume, Volumes
from dockwright.volume.seam import VolumeDriver

__all__ = ["VOLUME_SCHEMA", "LocalVolumes", "Volume", "VolumeDriver", "Volumes"]
