"""Decoding of image files and the image store."""
