"""Readers of public datasets: one module per dataset, each turning raw files into a cohort table."""
