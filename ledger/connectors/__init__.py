"""Connectors: how history comes into the ledger, and goes out of it again."""
