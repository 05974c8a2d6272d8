"""Manifest lists that are being made: kept on this machine until they are pushed, in the files Docker's client uses.

store       <config>/manifests/LIST/MANIFEST      one JSON document each
registry    the client's own way to a registry: the engine is not asked
documents   what is shown and pushed, laid out as Docker's client lays it out, so that both push the same digest
"""
