"""Answers about public CRM exports, checked against sums made straight from their files."""
