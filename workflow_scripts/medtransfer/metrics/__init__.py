"""Metrics with intervals, computed from saved predictions."""
