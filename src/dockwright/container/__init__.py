"""Containers: what they are asked to be, what they are, and the one owner of each.

config, mounts, ports, names, record, state     data; creating makes a record of a request
containers, container                           the index, and the owner of one container
starting, mounting, hostfiles, spec/            what a start does, step by step
stdio, attaching, execs, health, logging        what goes on while it runs
restart, detach, signals, waiting, top, update  rules and verbs of their own
"""

from dockwright.container.config import Config, HostConfig
from dockwright.container.container import Container
from dockwright.container.containers import Containers
from dockwright.container.creating import Request
from dockwright.container.logging import LogQuery
from dockwright.container.record import CONTAINER_SCHEMA
from dockwright.container.waiting import Condition

__all__ = ["CONTAINER_SCHEMA", "Condition", "Config", "Container", "Containers", "HostConfig", "LogQuery", "Request"]
