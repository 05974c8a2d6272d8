"""BuildKit's protocol, the engine's side: what `docker build`, buildx, bake and compose speak on `/session` and `/grpc`.

    taking                  connections that change from HTTP to gRPC
    sessions, lending       what a build's client offers: who it is to registries, secrets, ssh agents
    locals, sinks           its directories, and where it wants results
    attributes, frontend    what is asked for, as a request of the builder's
    frontends, contexts     which frontends there are; where a build's files come from
    stores, layouts         a client's stores of content: its caches, its OCI layouts
    board                   what goes on, as clients draw it
    solves, failures        builds under way, and why they fail
    control, bridge         the two services

What does not belong here: how an image is built.
"""
