"""Transfer learning at scale for medical imaging: the library behind the workflow's scripts; it knows nothing of Snakemake."""
