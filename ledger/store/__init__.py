"""The store: the append-only log in PostgreSQL, and the door that writes it."""
