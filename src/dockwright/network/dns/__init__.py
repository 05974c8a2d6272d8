"""Names inside networks: a resolver at 127.0.0.11 in each sandbox, served by the daemon on sockets opened inside.

    names     who is called what on which network          answers   from a question to an answer: bytes in, bytes out
    server    the sockets of every sandbox                 forward   what is not ours is asked of somebody else
    remembered  answers given before

What does not belong here: the files of a container (`network.files`), and which networks have names (`network.manager`).
"""

from dockwright.network.dns.names import Names
from dockwright.network.dns.server import ADDRESS, Dns

__all__ = ["ADDRESS", "Dns", "Names"]
