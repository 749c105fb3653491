"""Scheduling: passes from a program to a better program."""
