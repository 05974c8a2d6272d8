"""Builds as the command line drives them: imported by `build` alone, and only when a build begins.

events, model                       what is going on, and what is known about it
faces, plain, terminal, rawjson     how it is shown
colors, lines                       parts of that
"""
