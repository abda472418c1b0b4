"""Exports of flat tables as files."""
