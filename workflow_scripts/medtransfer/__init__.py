"""Transfer learning at scale for medical imaging: the library, which knows nothing of Snakemake."""
