"""The tables of a run folder's database, and how its file is told from any other."""

import functools
import sqlite3
from typing import Any

from functional_clf.record.rows import SEED_COLUMNS

APPLICATION_ID = 0x66636C66  # "fclf", in SQLite's header: the file is one of ours
FORMAT = 4
READABLE = (3, FORMAT)
"""In format 3 the environment of a session was under no digest; its tables are the same."""

_SCHEMA = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, digest BLOB NOT NULL);
CREATE TABLE session (id INTEGER PRIMARY KEY, environment TEXT NOT NULL);
CREATE TABLE chunk (
    id INTEGER PRIMARY KEY,
    session INTEGER NOT NULL REFERENCES session,
    curves BLOB NOT NULL,
    params BLOB,
    digest BLOB NOT NULL
);
CREATE TABLE replicate (
    {", ".join(SEED_COLUMNS)},
    chunk INTEGER NOT NULL REFERENCES chunk,
    lane INTEGER NOT NULL,
    PRIMARY KEY (model, seed)
) WITHOUT ROWID;
CREATE INDEX replicate_of_chunk ON replicate (chunk, model, lane);
"""


def write_schema(database: sqlite3.Connection) -> None:
    """Make the tables in an empty database, and mark it as one of ours."""
    database.executescript(
        f"BEGIN; {_SCHEMA} PRAGMA application_id = {APPLICATION_ID}; "
        f"PRAGMA user_version = {FORMAT}; COMMIT;"
    )


def has_schema(database: sqlite3.Connection) -> bool:
    """Whether a database has these tables and nothing else: no trigger, no view, no column more.

    Example:
        >>> database = sqlite3.connect(":memory:", isolation_level=None)
        >>> has_schema(database)
        False
        >>> write_schema(database)
        >>> has_schema(database)
        True
        >>> database.close()
    """
    return _told(database) == _expected()


@functools.cache
def _expected() -> list[tuple[Any, ...]]:
    database = sqlite3.connect(":memory:", isolation_level=None)
    try:
        write_schema(database)
        return _told(database)
    finally:
        database.close()


def _told(database: sqlite3.Connection) -> list[tuple[Any, ...]]:
    return database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
