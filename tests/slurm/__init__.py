"""A private SLURM on this machine, for the tests of `snakemake --profile slurm`."""
