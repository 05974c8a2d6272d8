"""How results are shown: columns, sizes and times as Docker prints them, and `--format`."""
