"""What several test modules share."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
REALDATA = ROOT.parent / "shared" / "realdata"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this machine cannot run, naming the reason."""
    import torch

    from tests.slurm.cluster import missing

    for item in items:
        if item.get_closest_marker("realdata") and not REALDATA.is_dir():
            item.add_marker(pytest.mark.skip(reason="../shared/realdata is not there"))
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
        if item.get_closest_marker("slurm") and missing():
            item.add_marker(pytest.mark.skip(reason=missing()))
