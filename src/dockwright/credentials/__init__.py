"""Who somebody is to a registry: credentials, where people keep them, and how they travel in a header.

credential      the value, and its forms on the wire: `X-Registry-Auth`, the body of `/auth`
fetching        somebody else who gets tokens and keeps the password
servers         the names one registry goes by, and the one it is kept under
config_file     `~/.docker/config.json`, shared with Docker's own client: `auths`, `credsStore`, `credHelpers`
helper          the programs `docker-credential-NAME`

Everything here is synchronous and may start a program: inside an event loop it belongs in `workers.quick`.
"""

from dockwright.credentials.config_file import CredentialFile
from dockwright.credentials.credential import (
    HEADER,
    REGISTRIES_HEADER,
    Credentials,
    from_document,
    from_header,
    from_registries_header,
    to_document,
    to_header,
    to_registries_header,
)
from dockwright.credentials.fetching import FetchedToken, TokenFetcher
from dockwright.credentials.helper import Helper, detect
from dockwright.credentials.servers import HUB, hostname, key_of

__all__ = [
    "HEADER",
    "HUB",
    "REGISTRIES_HEADER",
    "CredentialFile",
    "Credentials",
    "FetchedToken",
    "Helper",
    "TokenFetcher",
    "detect",
    "from_document",
    "from_header",
    "from_registries_header",
    "hostname",
    "key_of",
    "to_document",
    "to_header",
    "to_registries_header",
]
