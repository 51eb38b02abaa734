"""Selective prediction: equal to a loop over thresholds, ties accepted at once, counts as repeated images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medtransfer.metrics.probabilities import Kind, probabilities
from medtransfer.metrics.scores import scores
from medtransfer.metrics.selective import BLOCK, aurc, risk_coverage

COVERAGES = (0.05, 0.07, 0.3, 0.5, 0.9, 1.0)


def by_loop(confidence: np.ndarray, wrong: np.ndarray, coverages: Sequence[float]) -> tuple[list[float], float]:
    """Risks at the coverages, and the area: each decision's threshold accepts what is at least as confident."""
    accepted = [confidence >= threshold for threshold in np.sort(confidence)[::-1]]
    risks = [wrong[one].mean() for one in accepted]
    at = [
        next(risk for risk, one in zip(risks, accepted, strict=True) if one.mean() >= coverage - 1e-9)
        for coverage in coverages
    ]
    return at, float(np.mean(risks))


def repeated(logits: np.ndarray, targets: np.ndarray, drawn: np.ndarray, kind: Kind) -> tuple[np.ndarray, np.ndarray]:
    """Confidence and errors of all decisions, images repeated as often as they were drawn."""
    rows = np.repeat(np.arange(len(logits)), drawn)
    logits, targets = logits[rows], targets[rows]
    if kind == "multilabel":
        known = ~np.isnan(targets)
        return np.abs(logits)[known], ((logits > 0) != (targets == 1))[known]
    known = ~np.isnan(targets).any(axis=1)
    return probabilities(logits[known], kind).max(axis=1), logits[known].argmax(axis=1) != targets[known].argmax(axis=1)


def agrees_with_the_loop(logits: np.ndarray, targets: np.ndarray, weights: np.ndarray, kind: Kind) -> None:
    risks, areas = risk_coverage(logits, targets, weights, kind, COVERAGES), aurc(logits, targets, weights, kind)
    assert risks.shape == (len(COVERAGES), len(weights)) and areas.shape == (len(weights),)
    for column, drawn in enumerate(weights):
        confidence, wrong = repeated(logits, targets, drawn, kind)
        if len(confidence):
            risk, area = by_loop(confidence, wrong, COVERAGES)
            np.testing.assert_allclose(risks[:, column], risk, rtol=0, atol=1e-12)
            assert areas[column] == pytest.approx(area, abs=1e-7)
        else:
            assert np.isnan(risks[:, column]).all() and np.isnan(areas[column])


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.tuples(
            st.tuples(*[st.integers(-2, 2)] * 3),
            st.sampled_from([0, 1, 2, None]),
            st.lists(st.integers(0, 3), min_size=2, max_size=2),
        ),
        min_size=1,
        max_size=25,
    ),
    st.sampled_from(["multilabel", "multiclass"]),
)
def test_ties_missing_targets_and_counts_are_as_in_a_loop_over_repeated_images(images: Any, kind: Kind) -> None:
    logits, chosen, counts = (list(column) for column in zip(*images, strict=True))
    targets = np.array([np.full(3, np.nan) if label is None else np.eye(3)[label] for label in chosen])
    weights = np.vstack([np.ones(len(images)), np.transpose(counts)]).astype(np.uint8)
    agrees_with_the_loop(np.array(logits, dtype=float), targets, weights, kind)


@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
@pytest.mark.parametrize("decimals", [0, 1, 16], ids=["heavy ties", "some ties", "no ties"])
def test_many_blocks_are_as_in_a_loop(kind: Kind, decimals: int) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(5 * BLOCK + 3, 3)).round(decimals)
    targets = np.eye(3)[(logits + rng.normal(size=logits.shape)).argmax(axis=1)]
    weights = np.vstack([np.ones(len(logits)), rng.poisson(1, size=(2, len(logits)))]).astype(np.uint8)
    agrees_with_the_loop(logits, targets, np.asfortranarray(weights), kind)


def test_a_small_case_by_hand() -> None:
    """From confident to uncertain: right, wrong, and a tie of one right and one wrong."""
    logits, targets = np.array([[4.0], [-3], [1], [-1]]), np.array([[1.0], [1], [1], [1]])
    weights = np.ones((1, 4), dtype=np.uint8)
    risks = risk_coverage(logits, targets, weights, "multilabel", [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(risks[:, 0], [0, 1 / 2, 2 / 4, 2 / 4])
    assert aurc(logits, targets, weights, "multilabel") == pytest.approx((0 + 1 / 2 + 2 / 4 + 2 / 4) / 4)


@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
def test_everything_accepted_is_the_error_rate(kind: Kind) -> None:
    rng = np.random.default_rng(1)
    logits, targets = rng.normal(size=(300, 4)), np.eye(4)[rng.integers(4, size=300)]
    weights = rng.poisson(1, size=(20, 300)).astype(np.uint8)
    accuracy = scores(logits, targets, weights, kind)["accuracy"].mean(axis=0)
    np.testing.assert_allclose(risk_coverage(logits, targets, weights, kind, [1])[0], 1 - accuracy, atol=1e-12)


def test_confidence_that_ranks_errors_last_has_the_least_area_and_one_that_ranks_them_first_the_most() -> None:
    logits = np.arange(1, 101.0)[:, None]
    weights = np.ones((1, 100), dtype=np.uint8)
    targets = np.ones((100, 1))
    last, first = targets.copy(), targets.copy()
    last[:20] = first[-20:] = 0
    by_chance = np.ones_like(logits)
    areas = [
        aurc(confidence, truth, weights, "multilabel")[0]
        for confidence, truth in ((logits, last), (by_chance, last), (logits, first))
    ]
    # The optimum that only the error rate 20/100 sets (Geifman et al. 2019): errors enter among the last twenty.
    assert areas[0] == pytest.approx(sum(wrong / (80 + wrong) for wrong in range(1, 21)) / 100)
    assert areas[1] == pytest.approx(0.2)
    assert areas[0] < areas[1] < areas[2]


def test_saturated_and_opposite_logits_tie() -> None:
    logits, targets = np.array([[1e5], [-1e5], [1e3], [-1e3]]), np.array([[1.0], [1], [0], [0]])
    weights = np.ones((1, 4), dtype=np.uint8)
    np.testing.assert_allclose(risk_coverage(logits, targets, weights, "multilabel", COVERAGES), 0.5)


def test_nothing_known_or_nothing_drawn_is_undefined() -> None:
    logits, weights = np.zeros((3, 2)), np.array([[1, 1, 1], [0, 0, 0]], dtype=np.uint8)
    assert np.isnan(aurc(logits, np.full((3, 2), np.nan), weights, "multilabel")).all()
    assert np.isnan(risk_coverage(logits, np.full((3, 2), np.nan), weights, "multiclass", [0.5])).all()
    assert np.isnan(aurc(logits, np.ones((3, 2)), weights, "multilabel")).tolist() == [False, True]


@pytest.mark.parametrize("coverage", [0, -0.1, 1.01, np.nan])
def test_a_coverage_is_a_share(coverage: float) -> None:
    with pytest.raises(ValueError, match="coverages"):
        risk_coverage(np.zeros((2, 1)), np.ones((2, 1)), np.ones((1, 2), np.uint8), "multilabel", [coverage])
