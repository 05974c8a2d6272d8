"""A guest book: `GET /` reads it, `POST /` with a line signs it. It is kept in the directory GUESTBOOK, a volume say."""

import os
import platform
from pathlib import Path

import bottle

BOOK = Path(os.environ.get("GUESTBOOK", "/data")) / "book.txt"


@bottle.get("/")
def read() -> str:
    bottle.response.content_type = "text/plain"
    lines = BOOK.read_text() if BOOK.exists() else ""
    return f"The guest book, served by {platform.node()}\n{lines}"


@bottle.post("/")
def sign() -> str:
    line = bottle.request.body.read(200).decode(errors="replace").splitlines()[0]
    with BOOK.open("a") as book:
        book.write(line + "\n")
    return "thank you\n"


@bottle.get("/health")
def health() -> str:
    return "well\n"


bottle.run(host="0.0.0.0", port=8000, quiet=True)
