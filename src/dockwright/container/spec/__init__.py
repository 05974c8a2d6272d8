"""From what a container is asked to be to an OCI runtime specification: pure where it can be, reading the host where it must.

Each file turns one part of the configuration into one part of the specification; `build` puts them together.
Source: OCI runtime-spec 1.0.2 (config.md, config-linux.md); defaults as dockerd 28 sets them.
"""
