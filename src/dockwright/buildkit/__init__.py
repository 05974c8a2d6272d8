"""BuildKit's wire: its messages, gRPC over connections that were taken over from HTTP, and the transfer of file trees.

    proto/                  the messages and services
    connection              both ends of gRPC on a transport that is already there
    tunnel                  a connection inside a call
    errors                  what a failed call says, and the details it carries
    filesync/               fsutil's diff-copy: a tree of files, of which only what changed is sent

The engine is the server of `/grpc`, and the client of what a build's client offers on `/session`: both ends use both halves.
What does not belong here: what a build is, and HTTP.
"""
