"""Backends: from source text to something that runs, one per target."""
