"""Names that mean something in every configuration."""

NO_UPSTREAM = "none"
"""The upstream of networks with random weights."""
RULE = "rule"
"""The recipe that others deviate from."""
TRIALS = "trials"
"""In a grid, the recipes of the random search."""
