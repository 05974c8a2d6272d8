"""State that must survive: one SQLite database, one writer, any number of readers.

What belongs here: opening the file, migrations, transactions. What does not: any table. Each manager owns its tables and
brings its own `Schema`.
"""

from dockwright.store.database import Database, Schema

__all__ = ["Database", "Schema"]
