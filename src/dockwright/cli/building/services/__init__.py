"""What we offer the engine over a build's session: each module is one service of BuildKit's protocol.

files       directories to read, as far as the engine asks for them
results     places for what was made
auth        who we are to registries
loans       secrets
agents      ssh agents
stores      image layouts
uploads     tars from standard input
health      that we are there
answers     what all of them say when something is wrong here
"""
