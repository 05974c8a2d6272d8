"""Running processes in isolation: the OCI runtime seam, its command-line implementation, and the per-container monitor.

What belongs here: starting and signalling what an OCI bundle describes, stdio, exit codes. What does not: what a container
should look like (`container.spec`), and any persistent state: the OCI runtime and conmon keep theirs under the exec root.
"""

from dockwright.runtime.conmon import Conmon, Monitor, MonitorOptions
from dockwright.runtime.exec import ExecProcess, ExecRequest
from dockwright.runtime.filters import CompiledFilters
from dockwright.runtime.oci import OciRuntime
from dockwright.runtime.seam import ContainerStatus, Runtime

__all__ = [
    "CompiledFilters",
    "Conmon",
    "ContainerStatus",
    "ExecProcess",
    "ExecRequest",
    "Monitor",
    "MonitorOptions",
    "OciRuntime",
    "Runtime",
]
