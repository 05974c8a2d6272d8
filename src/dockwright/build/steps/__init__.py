"""A RUN: one command in a container of its own.

running                 the container, and what it changed as a layer
mounting, stubs         what it sees beside its own tree, and the mount points made for that
lent                    secrets and agents, for as long as it runs
"""
