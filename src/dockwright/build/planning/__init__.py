"""From a Dockerfile to a graph: what has to be done, before anything is.

    graph                   operations, each of which yields a tree of files
    plan, effects           stages into operations, and what each instruction does to its stage
    titles, created_by, ports       what people see of it, what the image's history says, what EXPOSE means
    named, remote           what names and addresses in FROM, --from and ADD mean
    times, reads, entitlements      what a plan says of times, of its context, of what it asks for

What does not belong here: doing it (`build/solving`), and the language itself (`build/dockerfile`).
"""
