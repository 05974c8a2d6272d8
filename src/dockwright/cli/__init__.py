"""The command line: Docker's grammar over `dockwright.client`, and nothing of the engine.

    main, index             from an argument vector to one command's file, which alone is imported
    flags, command, help    how a command is declared, parsed and explained: each option in one place
    session                 what a command gets to work with: the client, the configuration, the outputs
    commands/NOUN/VERB.py   one file a command, found by its name
    options/                run's and create's many syntaxes, each turned into its part of the API's request
    display/                columns, sizes, times, and `--format`
    template/               Go's text/template, for `--format`
    terminal/               raw mode, detach keys, resizing, signals, and the loop that joins them to a container

Why not click: its import costs 25 ms of a budget of 60, and its grammar is not pflag's (`--rm=false`, `-it`, `-p=80`, options
that end at the first argument, Docker's wording). `flags` is the small part of pflag that Docker's grammar is made of.
"""
