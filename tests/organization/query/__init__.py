"""Queries: how they are read, and what they find."""
