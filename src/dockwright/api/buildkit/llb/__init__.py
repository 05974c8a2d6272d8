"""BuildKit's low-level language: definitions that clients make themselves, as graphs of the builder's.

    program         a definition taken apart: its operations in their order, and which one it is about
    translating     operations to vertices
    sourcing        where files come from
    executing       commands
    changing        files copied, written, removed

What the builder's graph cannot say is refused, naming the operation and the field.
"""

from dockwright.api.buildkit.llb.program import Program, read
from dockwright.api.buildkit.llb.translating import plan, platform_of

__all__ = ["Program", "plan", "platform_of", "read"]
