"""Emitters: from a Program of the loop IR to source text."""
