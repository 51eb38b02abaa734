"""The frozen results of the demo that come with the repository: whole, small, this code's, and enough for figures."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from medtransfer.config import load
from medtransfer.review.digest import digest
from medtransfer.review.frozen import Frozen
from medtransfer.review.thaw import thaw_cells
from medtransfer.runs import CELL, KEYS, run_table
from tests.conftest import ROOT
from tests.test_workflow import clone, run

FOLDER = ROOT / "figures" / "frozen" / "demo"
DEMO = "config/demo.yaml"
CONTENT = yaml.safe_load((ROOT / DEMO).read_text())
SAMPLE = 4
"""So many of its cells are measured again."""
MEASURED = {"kind", "labels", "id_cohort", "subgroups", "intersections"}


@pytest.fixture(scope="module")
def frozen() -> Frozen:
    return Frozen.open(FOLDER)


def test_it_is_whole_and_small(frozen: Frozen) -> None:
    frozen.check()
    assert sum(path.stat().st_size for path in FOLDER.rglob("*")) < 5_000_000
    assert frozen.code["commit"] and frozen.code["modified"] is False


def test_it_is_of_the_demo_as_it_is_configured(frozen: Frozen) -> None:
    assert yaml.safe_load(frozen.path("config.yaml").read_text()) == CONTENT, "make demo, then snakemake freeze anew"
    config = load(CONTENT, DEMO)
    assert frozen.runs() == run_table(config.studies, config.search.trials if config.search else 0)


def test_a_sample_of_it_comes_out_again(frozen: Frozen, tmp_path: Path) -> None:
    config = load(CONTENT, DEMO)
    held = list(dict.fromkeys(run.cell for run in frozen.runs()))
    drawn = [held[place] for place in sorted(np.random.default_rng(len(held)).choice(len(held), SAMPLE, replace=False))]
    cells = {cell: [run.seed for run in frozen.runs() if run.cell == cell] for cell in drawn}
    tasks = {name: task.model_dump(include=MEASURED) for name, task in config.tasks.items()}
    outputs = {kind: str(tmp_path / f"{kind}.parquet") for kind in ("metrics", "replicates", "diagrams", "curves")}
    thaw_cells(str(FOLDER), cells, tasks, config.metrics.model_dump(), outputs)
    again, kept = pd.read_parquet(outputs["metrics"]), pd.read_parquet(frozen.path("metrics.parquet"))
    chosen = pd.MultiIndex.from_tuples([tuple(cell.split("/")) for cell in drawn])
    kept = kept[pd.MultiIndex.from_frame(kept[list(CELL)]).isin(chosen)].reset_index(drop=True)
    words = [name for name in kept if name not in ("value", "ci_low", "ci_high")]
    pd.testing.assert_frame_equal(again[words], kept[words])
    for name in ("value", "ci_low", "ci_high"):
        np.testing.assert_allclose(again[name], kept[name], rtol=1e-6, atol=1e-7)
    recorded = pd.read_parquet(frozen.path("provenance.parquet")).set_index(list(KEYS))
    for each in (each for each in frozen.runs() if each.cell in drawn):
        told = recorded.loc[tuple(getattr(each, key) for key in KEYS)]
        assert digest(frozen.predictions(each)) == told["predictions"]
        assert digest(frozen.validation(each)) == told["validation"]


def test_figures_need_nothing_but_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = clone(tmp_path)
    (tmp_path / "without" / "torch").mkdir(parents=True)
    (tmp_path / "without" / "torch" / "__init__.py").write_text("raise ImportError('torch is not needed here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "without"))
    assert subprocess.run([sys.executable, "-c", "import torch"], capture_output=True).returncode != 0
    names = ["fig_scale_performance", "fig_scale_representation", "fig_scale_fits_table"]
    status, text = run(folder, "--config", "results=frozen", config=DEMO, targets=names)
    assert status == 0, text
    made = folder / "results" / "demo-frozen"
    assert {path.stem for path in made.glob("figures/*.svg")} == {"scale_performance", "scale_representation"}
    assert (made / "tables" / "scale_fits_table.md").stat().st_size > 300
    assert not (folder / "results" / "demo").exists()
    # What is changed afterwards is seen as well.
    changed = folder / FOLDER.relative_to(ROOT) / "predictions" / "nih5.images.parquet"
    changed.write_bytes(changed.read_bytes() + b"!")
    status, text = run(folder, "--config", "results=frozen", config=DEMO, targets=names)
    assert status != 0 and "predictions/nih5.images.parquet was changed" in text


def test_a_tier_without_frozen_results_is_told(tmp_path: Path) -> None:
    status, told = run(clone(tmp_path), "--config", "results=frozen", config="config/small.yaml", targets=["figures"])
    assert status != 0 and "figures/frozen/small holds no frozen results of tier small" in told


def test_what_was_tampered_with_is_named_before_anything_is_drawn(tmp_path: Path) -> None:
    folder = clone(tmp_path)
    place = folder / FOLDER.relative_to(ROOT)
    table = place / "upstreams.csv"
    table.write_text(table.read_text().replace("1", "2", 1))
    (place / "predictions" / "nih5.parquet").unlink()
    for target in ("primary/metrics.parquet", "similarity.parquet"):
        goal = f"results/demo-frozen/{target}"
        status, told = run(folder, "--config", "results=frozen", config=DEMO, targets=[goal])
        assert status != 0 and "upstreams.csv was changed" in told and "predictions/nih5.parquet is missing" in told
