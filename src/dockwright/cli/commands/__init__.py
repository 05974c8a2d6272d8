"""One file a command: `VERB.py` or `NOUN/VERB.py`, each with one `COMMAND` and the function that does it."""
