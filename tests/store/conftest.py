"""Both kinds of database, for whoever asks for `database_url`."""

from tests.postgres import database_url, postgres

__all__ = ["database_url", "postgres"]
