"""Lowering: from planned expressions in index notation to loop IR."""
