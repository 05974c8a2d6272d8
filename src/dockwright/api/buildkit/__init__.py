"""BuildKit's protocol, the engine's side: what `docker build`, buildx, bake and compose speak on `/session` and `/grpc`.

    taking                  connections that change from HTTP to gRPC
    sessions, lending       what a build's client offers: who it is to registries, secrets, ssh agents
    locals, sinks           its directories, and where it wants results
    attributes, frontend    what is asked for, as a request of the builder's
    board                   what goes on, as clients draw it
    solves, failures        builds under way, and why they fail
    control, bridge         the two services

What does not belong here: how an image is built.
"""
