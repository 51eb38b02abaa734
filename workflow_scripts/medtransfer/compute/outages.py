"""What Snakemake does while SLURM does not answer: ask again later, as workflows run longer than controllers.

By itself its SLURM executor asks five times what has become of its jobs, at once where connections are refused. Then it
forgets them all and waits for ever (snakemake-executor-plugin-slurm, issue 207).
"""

import logging
from typing import Any


def outlast(executor: Any) -> None:
    """Have the executor take no answer for one that tells of no job: at its next look it asks for all of them again.

    Args:
        executor: The package `snakemake_executor_plugin_slurm`, or what has its function `query_job_status`.
    """
    ask = executor.query_job_status

    async def ask_patiently(command: str, logger: logging.Logger) -> tuple[dict[str, str], float]:
        """State of each job by its id, and how many seconds it took to ask."""
        states, seconds = await ask(command, logger)
        if states is None:
            logger.warning("SLURM does not say what has become of jobs; it is asked again later.")
            return {}, 0.0
        return states, seconds

    executor.query_job_status = ask_patiently
