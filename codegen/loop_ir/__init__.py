"""The loop IR: its nodes, text, legality check, interpreter and table of scalar functions."""
