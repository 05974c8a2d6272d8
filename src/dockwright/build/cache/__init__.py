"""What builds leave for later ones, on this host.

    records                 which operation made which layers, out of which inputs
    memory                  what files are, and what each step read when it was last built
    pruning                 what all of it takes, and what may go

What does not belong here: caches that outlive the host (`build/remote_cache`).
"""
