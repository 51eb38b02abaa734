"""Worst groups, gaps, decisions at operating points and calibration, as a run's tables hold them."""

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import equalized_odds_difference
from sklearn.metrics import brier_score_loss, recall_score, roc_auc_score, roc_curve

from medtransfer.metrics.evaluate import Evaluation
from tests.test_evaluate import LABELS, demographics_of, predictions_of, run

GROUPS = {"sex": None, "age": [0, 40, 60, 120]}


@pytest.fixture(scope="module")
def images() -> pd.DataFrame:
    predictions, _ = predictions_of("multilabel")
    return predictions.merge(demographics_of(predictions))


@pytest.fixture(scope="module")
def evaluated() -> Evaluation:
    predictions, labels = predictions_of("multilabel")
    return run(predictions, labels, "multilabel", subgroups=GROUPS, intersections=[["sex", "age"]])


def values(evaluated: Evaluation, cohort: str, by: str, metric: str) -> pd.Series:
    rows = evaluated.metrics.query("cohort == @cohort and subgroup_by == @by and metric == @metric and split == 'test'")
    return rows[rows["label"] == "mean"].set_index("subgroup")["value"]


def test_worst_and_gap_are_those_of_the_groups(evaluated: Evaluation) -> None:
    for by in ("sex", "age", "sex*age"):
        auc = values(evaluated, "abroad", by, "auc")
        groups = auc[~auc.index.str.startswith("(")].dropna()
        assert len(groups) >= 2
        assert auc["(worst)"] == groups.min() and auc["(gap)"] == pytest.approx(groups.max() - groups.min())
        assert 0 < auc["(expected gap)"] < 0.5
    missed = values(evaluated, "abroad", "age", "underdiagnosis")
    assert missed["(worst)"] == missed[~missed.index.str.startswith("(")].max()


def test_an_intersection_is_measured_like_its_images_alone(evaluated: Evaluation, images: pd.DataFrame) -> None:
    group = images[(images["cohort"] == "home") & (images["split"] == "test") & (images["sex"] == "female")]
    group = group[(group["age"] >= 60) & group["target_edema"].notna()]
    row = evaluated.metrics.query(
        "cohort == 'home' and split == 'test' and subgroup == 'female, [60, 120)' and label == 'edema'"
        " and metric == 'auc'"
    ).iloc[0]
    assert row["value"] == pytest.approx(roc_auc_score(group["target_edema"], group["logit_edema"]))


def test_decisions_are_taken_where_validation_says(evaluated: Evaluation, images: pd.DataFrame) -> None:
    validation = images[(images["split"] == "val") & images["target_edema"].notna()]
    low, high, thresholds = roc_curve(validation["target_edema"], validation["logit_edema"], drop_intermediate=False)
    chosen = evaluated.metrics.query("metric == 'threshold' and label == 'edema'").iloc[0]
    assert chosen["split"] == "val" and chosen["value"] == thresholds[np.argmax(high - low)]
    abroad = images[(images["cohort"] == "abroad") & images["target_edema"].notna()]
    found = evaluated.metrics.query(
        "cohort == 'abroad' and subgroup_by == 'all' and label == 'edema' and metric == 'sensitivity'"
    ).iloc[0]
    flagged = abroad["logit_edema"] >= chosen["value"]
    assert found["value"] == pytest.approx(recall_score(abroad["target_edema"], flagged))


def test_equalised_odds_are_those_of_fairlearn(evaluated: Evaluation, images: pd.DataFrame) -> None:
    abroad = images[(images["cohort"] == "abroad") & images["sex"].notna()]
    thresholds = evaluated.metrics.query("metric == 'threshold'").set_index("label")["value"]
    expected = []
    for label in LABELS:
        known = abroad[abroad[f"target_{label}"].notna()]
        flagged = known[f"logit_{label}"] >= thresholds[label]
        expected.append(equalized_odds_difference(known[f"target_{label}"], flagged, sensitive_features=known["sex"]))
    assert values(evaluated, "abroad", "sex", "equalised_odds")["(gap)"] == pytest.approx(np.mean(expected))


def test_replicates_of_gaps_are_kept_and_pair_with_those_of_all_images(evaluated: Evaluation) -> None:
    kept = evaluated.replicates.query("cohort == 'home'").set_index(["subgroup_by", "subgroup", "metric"])["replicates"]
    assert {("all", "all", "auc"), ("sex", "(worst)", "auc"), ("sex", "(gap)", "equalised_odds")} <= set(kept.index)
    assert not [group for _, group, _ in kept.index if group in ("female", "male")]
    assert np.corrcoef(kept["all", "all", "auc"], kept["sex", "(worst)", "auc"])[0, 1] > 0.5


def test_scaling_leaves_ranks_and_decisions_alone_and_makes_likelihood_no_worse_where_it_was_fitted(
    evaluated: Evaluation, images: pd.DataFrame
) -> None:
    rows = evaluated.metrics.query("subgroup_by == 'all' and label == 'mean'").set_index(["cohort", "split", "metric"])
    assert rows.loc[("home", "val", "nll_scaled"), "value"] <= rows.loc[("home", "val", "nll"), "value"]
    assert rows.loc[("home", "val", "temperature"), "value"] > 0
    abroad = images[images["cohort"] == "abroad"]
    expected = np.mean(
        [
            brier_score_loss(known[f"target_{label}"], 1 / (1 + np.exp(-known[f"logit_{label}"])))
            for label in LABELS
            for known in [abroad[abroad[f"target_{label}"].notna()]]
        ]
    )
    assert rows.loc[("abroad", "test", "brier"), "value"] == pytest.approx(expected)


def test_a_multi_class_task_has_no_underdiagnosis() -> None:
    predictions, labels = predictions_of("multiclass")
    metrics = run(predictions, labels, "multiclass", subgroups={"sex": None}).metrics
    assert {"sensitivity", "ece_scaled", "aurc"} <= set(metrics["metric"])
    assert "underdiagnosis" not in set(metrics["metric"])
