"""Acquisition: fetch what is open, say what a person has to do for the rest, and check what lies there."""
