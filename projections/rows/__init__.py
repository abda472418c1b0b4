"""Flat tables for BI tools: what each is, and its rows at a basis."""
