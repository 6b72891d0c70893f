"""The store on SQLite: apsw is the engine, aiosqlite lends its thread."""

from vidprod.store.sqlite.answers import Answer
from vidprod.store.sqlite.store import Store
from vidprod.store.sqlite.tables import Tables

__all__ = ["Answer", "Store", "Tables"]
