"""What is measured of a cell beside its metrics: validation curves, diagrams over seeds, similarity of networks."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from medtransfer.metrics.calibration import fit_temperature
from medtransfer.metrics.cell import measure_cell, similarity
from medtransfer.metrics.curves import validation_curves
from medtransfer.metrics.diagrams import COVERAGES, diagrams
from tests.test_evaluate import LABELS, demographics_of, predictions_of

DRAWS: dict[str, Any] = {"replicates": 100, "seed": 3}
SETTINGS: dict[str, Any] = {**DRAWS, "confidence": 0.9, "bins": 5}
CELL = {"task": "chest", "backbone": "r14w16", "upstream": "none", "initialisation": "random", "recipe": "rule"}


def looks() -> pd.DataFrame:
    """Logits that grow better with the steps, on one image of each of 60 patients."""
    images, _ = predictions_of("multilabel")
    images = images[images["split"] == "val"].drop_duplicates("patient_id").drop(columns=["cohort", "split"])
    noise, parts = np.random.default_rng(0).normal(size=(len(images), len(LABELS))), []
    for step in (0, 2, 8):
        logits = step * images[[f"target_{label}" for label in LABELS]].fillna(0).to_numpy() + noise * (step > 0)
        table = images.assign(step=step, images_seen=16 * step)
        table[[f"logit_{label}" for label in LABELS]] = logits
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def test_a_curve_begins_at_chance_and_holds_the_metric_of_each_look() -> None:
    table = looks()
    curve = validation_curves(table, labels=LABELS, kind="multilabel", **DRAWS)
    auc = curve[curve["metric"] == "auc"].set_index("step")
    assert auc["value"].tolist()[0] == 0.5 and auc["value"].is_monotonic_increasing
    last = table[table["step"] == 8]
    known = [last[last[f"target_{label}"].notna()] for label in LABELS]
    expected = np.mean([roc_auc_score(x[f"target_{y}"], x[f"logit_{y}"]) for x, y in zip(known, LABELS, strict=True)])
    assert auc["value"].iloc[-1] == pytest.approx(expected) and auc["images_seen"].tolist() == [0, 32, 128]
    assert len(auc["replicates"].iloc[0]) == 100


def seeds() -> list[pd.DataFrame]:
    one, _ = predictions_of("multilabel")
    other = one.copy()
    other[[f"logit_{label}" for label in LABELS]] *= 3.0
    return [one, other]


def test_a_diagram_holds_the_forecasts_of_all_seeds_and_scaling_mends_what_is_too_sure() -> None:
    validation = seeds()[0].query("split == 'val'")
    logits, targets = (validation[[f"{name}_{x}" for x in LABELS]].to_numpy(float) for name in ("logit", "target"))
    temperatures = [fit_temperature(each * logits, targets, "multilabel") for each in (1.0, 3.0)]
    drawn = diagrams(seeds(), temperatures, labels=LABELS, kind="multilabel", id_cohort="home", **SETTINGS)
    test = seeds()[0].query("cohort == 'home' and split == 'test'")
    known = test[[f"target_{label}" for label in LABELS]].notna().to_numpy().sum()
    home = drawn[drawn["cohort"] == "home"].set_index("diagram")
    assert home.loc["reliability", "n"].sum() == 2 * known
    assert set(drawn["shift"]) == {"id", "ood"} and set(drawn["cohort"]) == {"home", "abroad"}
    raw, scaled = (home.loc[name] for name in ("reliability", "reliability_scaled"))
    distance = [np.average(abs(each["x"] - each["value"]), weights=each["n"]) for each in (raw, scaled)]
    assert distance[1] < distance[0]
    risk = home.loc["risk_coverage"]
    assert risk["x"].tolist() == COVERAGES
    targets = test[[f"target_{label}" for label in LABELS]].to_numpy()
    wrong = (test[[f"logit_{label}" for label in LABELS]].to_numpy() > 0) != (targets == 1)
    assert risk["value"].iloc[-1] == pytest.approx(wrong[~np.isnan(targets)].mean())


def grams(path: Path, seed: int, n: int = 12) -> Path:
    rng = np.random.default_rng(seed)
    common = np.random.default_rng(99).normal(size=(n, 6))
    arrays: dict[str, np.ndarray] = {}
    for block, share in (("stem", 0.9), ("stage1.unit1", 0.1)):
        before = share * common + (1 - share) * rng.normal(size=(n, 6))
        after = share * common + (1 - share) * rng.normal(size=(n, 6))
        arrays |= {f"before/{block}": before @ before.T, f"after/{block}": after @ after.T}
    np.savez(path, allow_pickle=False, **arrays)
    return path


def test_similarity_compares_before_with_after_and_seeds_with_each_other(tmp_path: Path) -> None:
    table = similarity({seed: grams(tmp_path / f"{seed}.npz", seed) for seed in (0, 1, 2)}, 0.95)
    assert table.groupby("comparison")["seeds"].unique().map(list).to_dict() == {
        "fine-tuning": ["0", "1", "2"],
        "seeds": ["0-1", "0-2", "1-2"],
    }
    by_block = table.groupby("block")["value"].mean()
    assert by_block["stem"] > 0.9 > by_block["stage1.unit1"]
    assert table.groupby("block")["depth"].first().to_dict() == {"stem": 0.0, "stage1.unit1": 1.0}


def test_too_few_images_to_compare_are_said_and_give_no_value(tmp_path: Path) -> None:
    table = similarity({0: grams(tmp_path / "0.npz", 0, n=3)}, 0.95)
    assert table["value"].isna().all() and (table["n"] == 3).all()


def test_a_cell_is_measured_from_files_to_files(tmp_path: Path) -> None:
    folders = {seed: str(tmp_path / f"seed{seed}") for seed in (0, 1)}
    for seed, table in enumerate(seeds()):
        folder = Path(folders[seed])
        folder.mkdir()
        table.to_parquet(folder / "predictions.parquet")
        looks().to_parquet(folder / "validation.parquet")
        grams(folder / "representation.npz", seed)
        (folder / "run.json").write_text('{"patients": 70, "images": 90}')
    demographics, cohorts = demographics_of(seeds()[0]), {}
    for cohort, rows in demographics.groupby("cohort"):
        cohorts[str(cohort)] = str(tmp_path / f"{cohort}.parquet")
        rows.drop(columns=["cohort", "site"]).to_parquet(cohorts[str(cohort)])
    names = ("metrics", "replicates", "curves", "diagrams", "similarity")
    outputs = {name: str(tmp_path / f"{name}.parquet") for name in names}
    task: dict[str, Any] = {"labels": LABELS, "kind": "multilabel", "id_cohort": "home"}
    task |= {"subgroups": {"sex": None, "site": None}, "intersections": []}
    settings = {**SETTINGS, "operating_point": "youden", "min_group": 10}
    cell = CELL | {"budget": "pct100"}
    measure_cell(cell, folders, cohorts, task, settings, outputs)
    for name, path in outputs.items():
        table = pd.read_parquet(path)
        assert len(table) and (table["backbone"] == "r14w16").all(), name
        if name in ("metrics", "replicates", "curves"):
            assert set(table["seed"]) == {0, 1}
    metrics = pd.read_parquet(outputs["metrics"])
    assert set(metrics["subgroup_by"]) == {"all", "sex"}
    assert metrics.query("split == 'train' and metric == 'patients'")["value"].tolist() == [70.0, 70.0]
