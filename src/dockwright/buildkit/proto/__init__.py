"""BuildKit's messages and services: the definitions, and what `make protos` generates of them.

Only what is used is defined. Names and numbers are the protocol's.
"""
