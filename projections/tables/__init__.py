"""The tables that PostgreSQL keeps of the book: written, rolled forward, read and checked."""
