"""Measurements of container engines, side by side in one run: `python -m bench --help`.

    engines.py     the engines: ours and Debian's dockerd, started here, or any other by its socket
    isolation.py   network and mount namespaces of the run's own: nothing leaks to the host
    row.py         what a row of the table is, and how engines take turns sample by sample
    rows/          the rows, one file per kind of work
    report.py      the table

No assertion about time lives here or in the tests: a person reads the table.
"""
