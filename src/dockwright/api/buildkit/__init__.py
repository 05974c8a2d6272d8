"""BuildKit's protocol, the engine's side: what `docker build`, buildx, bake and compose speak on `/session` and `/grpc`.

    taking                  connections that change from HTTP to gRPC
    sessions, bodies        a build's client, at hand as long as its session is open; contexts it sends beside it
    lending, accounts       what it offers: secrets, ssh agents, who it is to registries
    locals, sinks           its directories, and where it wants results
    attributes, frontend    what is asked for, as a request of the builder's
    frontends, contexts     which frontends there are; where a build's files come from
    defined, llb/           what a client defines itself, in the low-level language
    stores, layouts         a client's stores of content: its caches, its OCI layouts
    board                   what goes on, as clients draw it
    solves, failures        builds under way, and why they fail
    requests, reading       a build from its request to its answer; looking into results
    records, documents      builds that are over, and what their records point at
    filters, choosing       filters in containerd's form, and what they choose among
    capabilities            what clients are told that there is
    control, bridge         the two services

What does not belong here: how an image is built.
"""
