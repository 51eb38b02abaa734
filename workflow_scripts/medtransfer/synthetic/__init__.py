"""Synthetic images, written in the file layouts of the real datasets."""
