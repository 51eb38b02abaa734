"""Jobs are not forgotten while SLURM does not answer."""

import asyncio
import logging
from collections.abc import Iterator
from types import ModuleType

import pytest
import snakemake_executor_plugin_slurm

from medtransfer.compute import outages


@pytest.fixture
def executor() -> Iterator[ModuleType]:
    """The executor as it is in a Snakemake that has read the rules."""
    ask = snakemake_executor_plugin_slurm.query_job_status
    outages.outlast(snakemake_executor_plugin_slurm)
    yield snakemake_executor_plugin_slurm
    snakemake_executor_plugin_slurm.query_job_status = ask


def states(executor: ModuleType, command: str) -> dict[str, str]:
    told: dict[str, str] = asyncio.run(executor.query_job_status(command, logging.getLogger("snakemake")))[0]
    return told


@pytest.mark.parametrize("command", ["false", "no-such-command", "sh -c 'echo 1|RUNNING; exit 1'"])
def test_no_answer_is_one_that_tells_of_no_job_and_is_said(
    executor: ModuleType, caplog: pytest.LogCaptureFixture, command: str
) -> None:
    assert states(executor, command) == {}
    assert "asked again later" in caplog.text


def test_an_answer_is_taken_as_it_is(executor: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    assert states(executor, "echo '1|RUNNING'") == {"1": "RUNNING"}
    assert not caplog.text
