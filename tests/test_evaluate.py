"""A run's metrics and intervals: equal to a plain bootstrap that repeats rows, overall and by sub-group."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    roc_auc_score,
)

from medtransfer.errors import UserError
from medtransfer.metrics.bootstrap import patient_counts
from medtransfer.metrics.evaluate import Evaluation, evaluate

LABELS = ["edema", "effusion", "fracture"]
CLASSES = ["mel", "nv", "bcc", "ak"]
METRICS = ["auc", "average_precision", "accuracy", "balanced_accuracy"]
SETTINGS: dict[str, Any] = {"replicates": 100, "confidence": 0.9, "seed": 3, "min_group": 10, "bins": 5}
SETTINGS |= {"operating_point": "youden", "intersections": []}


def close(left: Any, right: Any) -> None:
    np.testing.assert_allclose(np.asarray(left, float), np.asarray(right, float), rtol=0, atol=1e-12)


def cohort(name: str, split: str, images: int, labels: list[str], kind: str, seed: int) -> pd.DataFrame:
    """Predictions better than chance, two to three images a patient, some targets unknown."""
    rng = np.random.default_rng(seed)
    if kind == "multilabel":
        targets = (rng.random((images, len(labels))) < 0.4).astype(float)
        targets[rng.random(targets.shape) < 0.1] = np.nan
    else:
        targets = np.eye(len(labels))[rng.integers(len(labels), size=images)]
    logits = rng.normal(size=targets.shape) + np.nan_to_num(targets)
    if kind == "multilabel":
        logits = logits.round(1)  # with ties; those of a softmax depend on its last bits
    table = pd.DataFrame({"cohort": name, "split": split, "image_id": [f"{split}{row}" for row in range(images)]})
    table["patient_id"] = [f"{split}{patient}" for patient in rng.integers(images // 2, size=images)]
    for prefix, values in (("logit", logits), ("target", targets)):
        table[[f"{prefix}_{label}" for label in labels]] = values
    return table


def predictions_of(kind: str) -> tuple[pd.DataFrame, list[str]]:
    labels = LABELS if kind == "multilabel" else CLASSES
    places = [("home", "val", 90), ("home", "test", 120), ("abroad", "test", 80)]
    tables = [cohort(*place, labels, kind, seed) for seed, place in enumerate(places)]
    return pd.concat(tables, ignore_index=True), labels


def demographics_of(predictions: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(9)
    table = predictions[["cohort", "image_id"]].copy()
    table["sex"] = rng.choice(["female", "male"], len(table))
    table.loc[::17, "sex"] = None
    table["age"] = rng.uniform(20, 90, len(table)).round()
    table["site"] = pd.Series(rng.choice(["north", "south"], len(table))).where(table["cohort"] == "home")
    return table


def run(predictions: pd.DataFrame, labels: list[str], kind: Any, **changes: Any) -> Evaluation:
    demographics = changes.pop("demographics", demographics_of(predictions))
    options = {"id_cohort": "home", "subgroups": {}, **SETTINGS, **changes}
    return evaluate(predictions, demographics, labels=labels, kind=kind, **options)


def plainly(images: pd.DataFrame, labels: list[str], kind: str) -> dict[tuple[str, str], float]:
    """The metrics of some rows, each as often as it stands there, by scikit-learn."""
    logits, targets = (images[[f"{prefix}_{x}" for x in labels]].to_numpy(float) for prefix in ("logit", "target"))
    odds = np.exp(logits)
    scores = logits if kind == "multilabel" else odds / odds.sum(axis=1, keepdims=True)
    results: dict[tuple[str, str], float] = {}
    for number, label in enumerate(labels):
        known = ~np.isnan(targets[:, number])
        truth, score = targets[known, number], scores[known, number]
        results[label, "auc"] = roc_auc_score(truth, score)
        results[label, "average_precision"] = average_precision_score(truth, score)
        if kind == "multilabel":
            results[label, "accuracy"] = accuracy_score(truth, score > 0)
            results[label, "balanced_accuracy"] = balanced_accuracy_score(truth, score > 0)
    for metric in METRICS[: 4 if kind == "multilabel" else 2]:
        results["mean", metric] = float(np.mean([results[label, metric] for label in labels]))
    if kind == "multiclass":
        truth, guess = targets.argmax(axis=1), logits.argmax(axis=1)
        results["mean", "accuracy"] = accuracy_score(truth, guess)
        results["mean", "balanced_accuracy"] = balanced_accuracy_score(truth, guess)
    return results


@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
def test_values_and_intervals_equal_a_plain_patient_bootstrap_with_the_same_draws(kind: str) -> None:
    predictions, labels = predictions_of(kind)
    metrics, replicates = run(predictions, labels, kind)
    for (name, split), images in predictions.groupby(["cohort", "split"]):
        counts = patient_counts(images["patient_id"], SETTINGS["replicates"], [SETTINGS["seed"], *name.encode()])
        value = plainly(images, labels, kind)
        drawn = [plainly(images.iloc[np.repeat(np.arange(len(images)), count)], labels, kind) for count in counts]
        here = metrics[(metrics["cohort"] == name) & (metrics["split"] == split)].set_index(["label", "metric"])
        for key in value:
            row = here.loc[key]
            close(row["value"], value[key])
            close(row[["ci_low", "ci_high"]], np.quantile([draw[key] for draw in drawn], [0.05, 0.95]))
            assert row["ci_low"] < row["value"] < row["ci_high"]
        means = replicates[replicates["cohort"] == name].set_index("metric")["replicates"]
        for metric in METRICS if split == "test" else []:
            np.testing.assert_allclose(means[metric], [draw["mean", metric] for draw in drawn], rtol=1e-6)
    assert set(replicates["split"]) == {"test"}
    assert metrics.groupby("cohort")["shift"].unique().map(list).to_dict() == {"home": ["id"], "abroad": ["ood"]}


def test_counts_say_on_how_many_images_a_number_rests() -> None:
    predictions, labels = predictions_of("multilabel")
    metrics, _ = run(predictions, labels, "multilabel")
    test = predictions[(predictions["cohort"] == "home") & (predictions["split"] == "test")]
    rows = metrics.query("cohort == 'home' and split == 'test' and metric == 'auc'").set_index("label")
    for label in labels:
        assert rows.loc[label, "n"] == test[f"target_{label}"].notna().sum() < len(test)
        assert rows.loc[label, "n_positive"] == test[f"target_{label}"].sum()
    targets = test[[f"target_{label}" for label in labels]]
    assert rows.loc["mean", "n"] == targets.notna().any(axis=1).sum()
    assert rows.loc["mean", "n_positive"] == (targets == 1).any(axis=1).sum()


def test_two_runs_on_the_same_patients_share_their_draws_whatever_the_order_of_images() -> None:
    predictions, labels = predictions_of("multilabel")
    shuffled = predictions.sample(frac=1, random_state=0)
    one, other = run(predictions, labels, "multilabel"), run(shuffled, labels, "multilabel")
    pd.testing.assert_frame_equal(one.metrics, other.metrics, rtol=0, atol=1e-9)
    for left, right in zip(one.replicates["replicates"], other.replicates["replicates"], strict=True):
        np.testing.assert_allclose(left, right, rtol=0, atol=1e-6)


def test_a_patient_without_a_rare_finding_widens_the_interval_but_does_not_break_it() -> None:
    predictions, labels = predictions_of("multilabel")
    lone = (predictions["cohort"] == "home") & (predictions["split"] == "test")
    predictions.loc[lone, "target_fracture"] = 0.0
    predictions.loc[predictions[lone].index[:1], "target_fracture"] = 1.0
    metrics, replicates = run(predictions, labels, "multilabel")
    mean = replicates.query("cohort == 'home' and metric == 'auc'")["replicates"].iloc[0]
    assert 20 < np.isnan(mean).sum() < 50  # exp(-1) of the draws miss the only positive
    row = metrics.query("cohort == 'home' and split == 'test' and metric == 'auc' and label == 'mean'").iloc[0]
    assert row["ci_low"] == pytest.approx(np.nanquantile(mean, 0.05), rel=1e-6)


def test_a_label_of_one_class_has_no_value_and_is_not_part_of_the_mean() -> None:
    predictions, labels = predictions_of("multilabel")
    predictions.loc[predictions["cohort"] == "abroad", "target_fracture"] = 0.0
    predictions.loc[predictions["cohort"] == "home", "target_fracture"] = np.nan
    metrics, _ = run(predictions, labels, "multilabel")
    table = metrics[(metrics["split"] == "test") & metrics["metric"].isin(METRICS)]
    table = table.pivot(index=["cohort", "metric"], columns="label", values="value")
    assert table["fracture"].isna().all()
    close(table["mean"], table[["edema", "effusion"]].mean(axis=1))


def test_classes_that_an_ood_cohort_does_not_know_are_wrong_answers_there() -> None:
    predictions, labels = predictions_of("multiclass")
    abroad = predictions["cohort"] == "abroad"
    predictions = predictions[~(abroad & (predictions["target_ak"] == 1))].copy()
    abroad = predictions["cohort"] == "abroad"
    zeros, _ = run(predictions, labels, "multiclass")
    predictions.loc[abroad, "target_ak"] = np.nan
    missing, _ = run(predictions, labels, "multiclass")
    pd.testing.assert_frame_equal(zeros, missing)
    images = predictions[abroad]
    truth = images[[f"target_{label}" for label in labels]].fillna(0).to_numpy().argmax(axis=1)
    guess = images[[f"logit_{label}" for label in labels]].to_numpy().argmax(axis=1)
    assert (guess == labels.index("ak")).any()
    mean = zeros.query("cohort == 'abroad' and label == 'mean'").set_index("metric")["value"]
    assert mean["accuracy"] == pytest.approx((truth == guess).mean(), abs=1e-12)
    assert mean["balanced_accuracy"] == pytest.approx(
        np.mean([(guess == truth)[truth == present].mean() for present in range(3)]), abs=1e-12
    )


def test_subgroups_are_measured_like_the_images_alone() -> None:
    predictions, labels = predictions_of("multilabel")
    demographics = demographics_of(predictions)
    groups = {"sex": None, "age": [0, 40, 60, 120], "site": None}
    metrics, _ = run(predictions, labels, "multilabel", demographics=demographics, subgroups=groups)
    groups_alone = metrics[~metrics["subgroup"].str.startswith("(")]
    found = groups_alone.groupby(["cohort", "subgroup_by"])["subgroup"].unique().map(list).to_dict()
    assert found["home", "age"] == ["[0, 40)", "[40, 60)", "[60, 120)"]
    assert found["home", "sex"] == ["female", "male"]
    assert ("home", "site") in found and ("abroad", "site") not in found
    images = predictions.merge(demographics)
    women = images[(images["cohort"] == "abroad") & (images["sex"] == "female")]
    rows = metrics.query("cohort == 'abroad' and subgroup == 'female'").set_index(["label", "metric"])
    for key, value in plainly(women, labels, "multilabel").items():
        close(rows.loc[key, "value"], value)
    assert rows.loc[("mean", "auc"), "n"] == len(women)


def test_images_without_an_age_or_outside_all_bins_form_no_group() -> None:
    predictions, labels = predictions_of("multilabel")
    demographics = demographics_of(predictions)
    demographics.loc[::5, "age"] = np.nan
    demographics.loc[::7, "age"] = 411.0
    groups = {"age": [0, 40, 120]}
    metrics, _ = run(predictions, labels, "multilabel", demographics=demographics, subgroups=groups)
    shown = metrics.query("subgroup_by == 'age' and label == 'mean' and metric == 'auc'")
    sizes = shown[~shown["subgroup"].str.startswith("(")].groupby("subgroup")["n"].sum()
    assert sizes.to_dict() == {
        "[0, 40)": (demographics["age"] < 40).sum(),
        "[40, 120)": demographics["age"].between(40, 119).sum(),
    }


def test_small_groups_are_listed_by_their_size_alone() -> None:
    predictions, labels = predictions_of("multilabel")
    demographics = demographics_of(predictions)
    demographics["sex"] = "female"
    few = demographics.index[demographics["cohort"] == "abroad"][:9]
    demographics.loc[few, "sex"] = "male"
    metrics, _ = run(predictions, labels, "multilabel", demographics=demographics, subgroups={"sex": None})
    small = metrics[metrics["subgroup"] == "male"]
    rates = ["sensitivity", "specificity", "underdiagnosis"]
    assert small["metric"].tolist() == METRICS + rates and (small["label"] == "mean").all() and (small["n"] == 9).all()
    assert small[["value", "ci_low", "ci_high", "n_positive"]].isna().all(axis=None)


def test_means_of_groups_are_over_the_same_labels_so_that_their_gap_means_something() -> None:
    predictions, labels = predictions_of("multilabel")
    demographics = demographics_of(predictions)
    predictions.loc[demographics["sex"] == "male", "target_edema"] = 0.0
    metrics, _ = run(predictions, labels, "multilabel", demographics=demographics, subgroups={"sex": None})
    rows = metrics.query("cohort == 'abroad' and metric == 'auc'")
    table = rows.pivot(index="subgroup", columns="label", values="value")
    assert np.isnan(table.loc["male", "edema"]) and not np.isnan(table.loc["female", "edema"])
    close(table.loc[["female", "male"], "mean"], table.loc[["female", "male"], ["effusion", "fracture"]].mean(axis=1))
    close(table.loc["all", "mean"], table.loc["all", labels].mean())


def spoil(column: str, value: Any) -> Any:
    def change(predictions: pd.DataFrame) -> pd.DataFrame:
        predictions.loc[5, column] = value
        return predictions

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (spoil("logit_edema", np.nan), "'val5' of cohort 'home' has a logit that is not finite"),
        (spoil("logit_edema", -np.inf), "not finite"),
        (spoil("image_id", "val6"), "'val6' of cohort 'home' stands in the predictions twice"),
        (spoil("target_edema", 0.5), "'val5' of cohort 'home' has a target beside 0, 1"),
        (spoil("patient_id", None), "'val5' of cohort 'home' has no .*patient_id"),
        (lambda table: table.drop(columns="logit_edema"), "predictions lack the columns logit_edema"),
        (lambda table: table.drop(columns=["split", "target_edema"]), "lack the columns split, target_edema"),
        (lambda table: table[table["cohort"] == "abroad"], "in-distribution cohort 'home', but of: abroad"),
        (lambda table: table.iloc[:0], "in-distribution cohort 'home', but of: none"),
        (lambda table: table[table["split"] != "val"], "no validation images of the in-distribution cohort"),
    ],
)
def test_predictions_that_cannot_be_measured_are_refused_with_the_reason(change: Any, message: str) -> None:
    predictions, labels = predictions_of("multilabel")
    demographics = demographics_of(predictions)
    with pytest.raises(UserError, match=message):
        run(change(predictions), labels, "multilabel", demographics=demographics)


def test_a_cohort_without_known_targets_is_refused() -> None:
    predictions, labels = predictions_of("multilabel")
    predictions.loc[predictions["cohort"] == "abroad", [f"target_{label}" for label in labels]] = np.nan
    with pytest.raises(UserError, match="cohort 'abroad', split 'test', has a known target"):
        run(predictions, labels, "multilabel")


def test_an_image_of_two_classes_is_refused() -> None:
    predictions, labels = predictions_of("multiclass")
    predictions.loc[5, ["target_mel", "target_nv"]] = 1.0
    with pytest.raises(UserError, match="'val5' of cohort 'home' belongs to several classes"):
        run(predictions, labels, "multiclass")


@pytest.mark.parametrize(
    ("change", "groups", "message"),
    [
        (lambda table: table, {"skin": None}, "demographics lack the columns skin"),
        (lambda table: table[table["image_id"] != "val5"], {}, "1 predicted images have no demographics.*'val5'"),
        (lambda table: pd.concat([table, table[:1]]), {}, "'val0' of cohort 'home' stands in the demographics twice"),
        (lambda table: table, {"sex": [0, 1]}, "'sex' are bins, but its values are not numbers"),
    ],
)
def test_demographics_that_do_not_fit_are_refused(change: Any, groups: Any, message: str) -> None:
    predictions, labels = predictions_of("multilabel")
    demographics = change(demographics_of(predictions))
    with pytest.raises(UserError, match=message):
        run(predictions, labels, "multilabel", demographics=demographics, subgroups=groups)
