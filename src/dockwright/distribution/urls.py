"""What `yarl` raises for text that is no URL: beside `ValueError`, an `IndexError` for some brackets (`[]@`, in 1.25)."""

from __future__ import annotations

NO_URL = (ValueError, IndexError)
