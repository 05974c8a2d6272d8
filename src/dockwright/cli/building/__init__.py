"""Builds as the command line drives them: imported by `build` alone, and only when a build begins.

fields, inputs, outputs, entries, loans, attributes     options: what is asked for, and what it is made of
connecting, services/                                   the engine's ends of a build: BuildKit's `/grpc` and `/session`
solving, translating                                    one build over them
events, model                                           what is going on, and what is known about it
faces, plain, terminal, rawjson, colors, lines          how it is shown
results, asking, failing                                what is told in the end
"""
