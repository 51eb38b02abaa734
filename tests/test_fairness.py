"""Fairness: rates and gaps equal to fairlearn's and scikit-learn's, and known answers for what these do not have."""

from typing import Any

import numpy as np
import pytest
from fairlearn.metrics import MetricFrame, equalized_odds_difference, false_negative_rate, false_positive_rate
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import confusion_matrix, recall_score, roc_curve

from medtransfer.metrics.fairness import equalised_odds, expected_gap, gap, operating_points, rates, worst

NAN = np.nan
ONE = np.ones((1, 4), dtype=np.uint8)


def close(left: Any, right: Any) -> None:
    np.testing.assert_allclose(np.asarray(left, float), np.asarray(right, float), rtol=0, atol=1e-12)


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)[:, None]


# --- operating points ----------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.tuples(st.integers(-3, 3), st.sampled_from([0.0, 1.0, NAN])), min_size=1, max_size=30),
    st.sampled_from([0.05, 0.1, 1 / 3, 0.55, 0.7, 0.9, 1]),
)
def test_operating_points_are_the_largest_of_the_best_on_scikit_learns_roc_curve(images: Any, least: float) -> None:
    scores, targets = (np.array(values, dtype=float)[:, None] for values in zip(*images, strict=True))
    found = operating_points(scores, targets, "youden"), operating_points(scores, targets, least)
    known = ~np.isnan(targets)
    if len(set(targets[known])) < 2:
        assert np.isnan(found).all()
        return
    # The first point of scikit-learn's curve flags nobody, at a threshold of infinity.
    false, true, thresholds = (x[1:] for x in roc_curve(targets[known], scores[known], drop_intermediate=False))
    best = np.isclose(true - false, (true - false).max(), rtol=0, atol=1e-12)
    close(found, column(thresholds[best].max(), thresholds[true >= least - 1e-12].max()))


def test_operating_points_by_hand() -> None:
    scores, targets = column(5, 4, 3, 2, 1), column(1, 0, 1, 0, 0)
    assert operating_points(scores, targets, "youden") == [3]
    assert operating_points(scores, targets, 0.5) == [5]
    assert operating_points(scores, targets, 0.51) == [3]


def test_a_sensitivity_of_11_in_20_is_055_in_spite_of_rounding() -> None:
    scores, targets = column(*range(21)), column(0, *[1] * 20)
    assert operating_points(scores, targets, 0.55) == [10]


def test_each_label_has_its_own_operating_point() -> None:
    scores = np.array([[3.0, 0.1], [2.0, 0.2], [1.0, 0.3]])
    targets = np.array([[1.0, 0.0], [0.0, NAN], [0.0, 0.0]])
    close(operating_points(scores, targets, "youden"), [3, NAN])


def test_a_network_that_says_the_same_of_every_image_flags_all() -> None:
    assert operating_points(column(7, 7, 7), column(0, 1, 1), "youden") == [7]


@pytest.mark.parametrize("rule", [0, -0.1, 1.01, NAN, "best"])
def test_unknown_rules_are_refused(rule: Any) -> None:
    with pytest.raises(ValueError, match=r"'youden' or a sensitivity in \(0, 1\]"):
        operating_points(column(1, 2), column(0, 1), rule)


# --- rates ---------------------------------------------------------------------------------------------------------


def sample(seed: int, images: int = 400, labels: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scores with ties, targets of which some are unknown, counts of draws (the first are ones), thresholds."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((images, labels)) < 0.2).astype(float)
    scores = (rng.normal(size=targets.shape) + targets).round(1)
    targets[rng.random(targets.shape) < 0.1] = NAN
    weights = np.asfortranarray(np.vstack([np.ones(images), rng.poisson(1, (5, images))]).astype(np.uint8))
    return scores, targets, weights, np.array([0.5, 0.7, 0.9])


def test_rates_equal_scikit_learn() -> None:
    scores, targets, weights, thresholds = sample(1)
    found = rates(scores, targets, weights, thresholds)
    for label, threshold in enumerate(thresholds):
        known = ~np.isnan(targets[:, label])
        truth, flagged = targets[known, label], scores[known, label] >= threshold
        for number, drawn in enumerate(weights[:, known]):
            sensitivity = recall_score(truth, flagged, sample_weight=drawn)
            (negatives_right, false_alarms), _ = confusion_matrix(truth, flagged, sample_weight=drawn)
            close(found["sensitivity"][label, number], sensitivity)
            close(found["specificity"][label, number], negatives_right / (negatives_right + false_alarms))


def test_diagnosis_rates_of_groups_equal_fairlearn() -> None:
    scores, targets, weights, thresholds = sample(2)
    targets = np.nan_to_num(targets)
    sick, called_sick = targets.any(axis=1), (scores >= thresholds).any(axis=1)
    group = np.random.default_rng(3).choice(["north", "south", "west"], len(scores))
    by_group = [rates(scores[rows], targets[rows], weights.T[rows].T, thresholds) for rows in groups_of(group)]
    for number, drawn in enumerate(weights):
        frame = MetricFrame(
            metrics={"underdiagnosis": false_negative_rate, "overdiagnosis": false_positive_rate},
            y_true=sick,
            y_pred=called_sick,
            sensitive_features=group,
            sample_params={name: {"sample_weight": drawn} for name in ("underdiagnosis", "overdiagnosis")},
        )
        for name in ("underdiagnosis", "overdiagnosis"):
            values = np.array([of_group[name] for of_group in by_group])
            close(values[:, number], frame.by_group[name])
            close(gap(values)[number], frame.difference()[name])
            close(worst(values, higher_is_better=False)[number], frame.group_max()[name])


def groups_of(names: np.ndarray) -> list[np.ndarray]:
    return [np.flatnonzero(names == name) for name in np.unique(names)]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 30))
def test_counts_of_draws_equal_repeated_images(seed: int, images: int) -> None:
    scores, targets, weights, thresholds = sample(seed, images)
    found = rates(scores, targets, weights, thresholds)
    for number, drawn in enumerate(weights):
        rows = np.repeat(np.arange(images), drawn)
        repeated = rates(scores[rows], targets[rows], np.ones((1, len(rows)), dtype=np.uint8), thresholds)
        for name, values in found.items():
            close(values[..., number], repeated[name][..., 0])


def test_rates_by_hand() -> None:
    #                    missed       wrong label   false alarm    unknown and flagged
    targets = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, NAN]])
    scores = np.array([[0.0, 0.0], [0.0, 9.0], [9.0, 0.0], [0.0, 9.0]])
    found = rates(scores, targets, ONE, np.array([1.0, 1.0]))
    close(found["sensitivity"], [[0], [NAN]])
    close(found["specificity"], [[1 / 2], [2 / 3]])
    close(found["underdiagnosis"], [1 / 2])  # the wrong label is flagged, but not called healthy
    close(found["overdiagnosis"], [1 / 2])  # the flag of an unknown label may be right


def test_a_label_without_threshold_has_no_rates_and_flags_nobody() -> None:
    targets = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [1.0, 1.0]])
    scores = np.array([[0.0, 9.0], [0.0, 9.0], [9.0, 9.0], [9.0, 9.0]])
    found = rates(scores, targets, ONE, np.array([1.0, NAN]))
    close(found["sensitivity"], [[1 / 2], [NAN]])
    close(found["specificity"], [[1 / 2], [NAN]])
    close(found["underdiagnosis"], [1 / 2])  # the second image's label cannot be flagged: it is not among the missed
    close(found["overdiagnosis"], [1])  # nor is it healthy
    none = rates(scores, targets, ONE, np.array([NAN, NAN]))
    assert all(np.isnan(values).all() for values in none.values())


def test_one_label_alone_is_underdiagnosed_where_it_is_not_sensitive() -> None:
    scores, targets, weights, thresholds = sample(4, labels=1)
    found = rates(scores, targets, weights, thresholds[:1])
    close(found["underdiagnosis"], 1 - found["sensitivity"][0])
    close(found["overdiagnosis"], 1 - found["specificity"][0])


def test_a_weighting_without_positives_has_no_sensitivity() -> None:
    weights = np.array([[1, 1, 1, 1], [0, 0, 2, 2], [0, 0, 0, 0]], dtype=np.uint8)
    found = rates(column(1, 0, 1, 0), column(1, 1, 0, 0), weights, np.array([1.0]))
    close(found["sensitivity"], [[1 / 2, NAN, NAN]])
    close(found["specificity"], [[1 / 2, 1 / 2, NAN]])
    close(found["underdiagnosis"], [1 / 2, NAN, NAN])


# --- between groups ------------------------------------------------------------------------------------------------


def test_equalised_odds_equal_fairlearn() -> None:
    scores, targets, weights, thresholds = sample(5)
    targets = np.nan_to_num(targets)
    group = np.random.default_rng(6).integers(3, size=len(scores))
    by_group = [rates(scores[rows], targets[rows], weights.T[rows].T, thresholds) for rows in groups_of(group)]
    names = ("sensitivity", "specificity")
    found = equalised_odds(*(np.stack([of_group[name] for of_group in by_group]) for name in names))
    assert found.shape == (3, len(weights))
    for label, threshold in enumerate(thresholds):
        for number, drawn in enumerate(weights):
            expected = equalized_odds_difference(
                targets[:, label], scores[:, label] >= threshold, sensitive_features=group, sample_weight=drawn
            )
            close(found[label, number], expected)


SHARES = st.floats(0, 1) | st.just(NAN)


@settings(deadline=None)
@given(arrays(float, st.tuples(st.integers(2, 5), st.integers(1, 4)), elements=SHARES), st.randoms())
def test_gaps_are_those_of_a_loop_over_pairs_in_any_order_of_groups(values: np.ndarray, random: Any) -> None:
    by_pairs = [
        max(abs(x - y) for x in drawn for y in drawn) if not np.isnan(drawn).any() else NAN for drawn in values.T
    ]
    close(gap(values), by_pairs)
    shuffled = values[random.sample(range(len(values)), len(values))]
    close(gap(shuffled), gap(values))
    close(expected_gap(shuffled), expected_gap(values))
    for higher_is_better in (True, False):
        close(worst(shuffled, higher_is_better), worst(values, higher_is_better))


def test_the_worst_group_is_found_under_each_weighting_anew() -> None:
    values = np.array([[0.9, 0.5, NAN], [0.8, 0.7, 0.6]])
    close(worst(values, higher_is_better=True), [0.8, 0.5, NAN])
    close(worst(values, higher_is_better=False), [0.9, 0.7, NAN])


def test_groups_that_are_identical_have_no_gap() -> None:
    same = np.tile(np.random.default_rng(7).random((1, 2, 50)), (4, 1, 1))
    assert (gap(same) == 0).all() and (equalised_odds(same, same) == 0).all()
    assert expected_gap(same[:, 0]) == 0


def test_one_group_alone_has_no_gap_to_speak_of() -> None:
    one = np.full((1, 2, 3), 0.5)
    assert np.isnan(gap(one)).all() and np.isnan(equalised_odds(one, one)).all()
    assert np.isnan(expected_gap(one[:, 0]))


@pytest.mark.parametrize(("groups", "spreads"), [(2, 2 / np.sqrt(np.pi)), (3, 3 / np.sqrt(np.pi))])
def test_the_expected_gap_of_normal_noise_is_its_expected_range(groups: int, spreads: float) -> None:
    """Ranges of 2 and 3 normal values: David and Nagaraja 2003, Order Statistics, section 3.2 (1.128 and 1.693)."""
    values = np.random.default_rng(8).normal(0.7, 0.05, size=(groups, 40_001))
    values[:, 0] = 0.7
    assert expected_gap(values) == pytest.approx(0.05 * spreads, rel=0.02)
    far_apart = values + np.linspace(0, 0.2, groups)[:, None]
    assert expected_gap(far_apart) == pytest.approx(expected_gap(values))


def test_the_mean_gap_of_groups_that_do_not_differ_is_the_expected_one() -> None:
    rng = np.random.default_rng(9)
    sizes = np.array([[60], [200], [400]])
    observed, expected = [], []
    for _ in range(2_000):
        estimates = rng.binomial(sizes, 0.3) / sizes
        replicates = rng.binomial(sizes, estimates, size=(3, 100)) / sizes
        values = np.column_stack([estimates, replicates])
        observed.append(gap(values)[0])
        expected.append(expected_gap(values))
    assert np.mean(expected) == pytest.approx(np.mean(observed), rel=0.04)
    assert np.mean(observed) > 0.06


def test_the_expected_gap_leaves_undefined_replicates_out_unless_they_are_most() -> None:
    values = np.array([[0.5, 0.4, 0.4, NAN, NAN], [0.5, 0.6, 0.6, 0.6, 0.6]])
    close(expected_gap(values), 0.2)
    values[0, 2] = NAN
    assert np.isnan(expected_gap(values))
    assert np.isnan(expected_gap(values[:, :1]))
