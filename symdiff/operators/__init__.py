"""What users call: every function builds expressions in normal form from expressions, arrays and numbers."""
