"""Backbones, initialisations and weights."""
