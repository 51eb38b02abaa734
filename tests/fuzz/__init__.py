"""Decoding of damaged files: seeds, what is done to them, and what must not happen."""
