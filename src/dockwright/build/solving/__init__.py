"""Doing what a graph says: every operation once, side by side, out of the cache where its inputs are known.

    solver                  the way through one build's graph
    operations, inputs      what an operation reads, by name: its key; and how it is done
    stepping                out of the cache, of another build at this moment, or made
    work                    what a build brings along, and what all of them share
    places, selecting       where files are that no layer holds, and which of them are meant
    copying, edits, owners, modes     putting them into a tree, changing it; whose they are and who may
    foreign                 whether programs of another architecture run here

What does not belong here: commands in containers (`build/steps`), what is remembered (`build/cache`).
"""
