"""Stored runs: JSON lines that are appended and never rewritten."""
