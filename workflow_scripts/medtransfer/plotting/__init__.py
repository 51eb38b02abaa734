"""The style and the marks that all figures share."""
