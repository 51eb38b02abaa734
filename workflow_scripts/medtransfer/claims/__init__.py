"""Contrasts between runs and the verdicts that follow."""
