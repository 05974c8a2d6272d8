"""The registry client: OCI distribution-spec 1.1 and Docker registry v2. Usable without the engine.

What belongs here: getting manifests and blobs from and to registries, verified, resumed, and safe from what a registry may
answer. What does not: what an image is made of, where it is kept, how a transfer is shown.

    challenge, ranges, links, proxies, endpoints, refusals, tokens    the protocol's grammar; no I/O
    wire, troubles, certificates                                      requests: TLS, proxies, redirects, what broke
    authority, peer, routes                                           who we are, to one endpoint; which endpoints there are
    manifests, downloads, uploads, bodies, listing, referring         the verbs of a repository
    login, searching                                                  the verbs of a registry
    registries, repository, summary                                   the faces
"""

from dockwright.distribution.endpoints import check_insecure, mirror_base
from dockwright.distribution.login import Login
from dockwright.distribution.options import RegistryOptions
from dockwright.distribution.proxies import Proxies
from dockwright.distribution.refusals import Interrupted
from dockwright.distribution.registries import Registries, server_host
from dockwright.distribution.repository import Repository
from dockwright.distribution.searching import SearchFilters, SearchResult
from dockwright.distribution.summary import Summary, platform_of, summarize
from dockwright.distribution.uploads import Outcome, Source

__all__ = [
    "Interrupted",
    "Login",
    "Outcome",
    "Proxies",
    "Registries",
    "RegistryOptions",
    "Repository",
    "SearchFilters",
    "SearchResult",
    "Source",
    "Summary",
    "check_insecure",
    "mirror_base",
    "platform_of",
    "server_host",
    "summarize",
]
