"""The sample of an audit: every record has its chance, and the bound on wrong records holds whichever they are."""

import itertools

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from medtransfer.review.sampling import CONFIDENCE, draw, draws_needed, statement, upper_bound

SEEDS = 4000


def missed(wrong: np.ndarray, k: int) -> float:
    """The exact probability that no wrong record is drawn: the parts' shares, from the definition."""
    edges = np.linspace(0, len(wrong), k + 1)
    shares = [
        sum(max(0.0, min(end, i + 1) - max(start, i)) for i in np.flatnonzero(wrong)) / (end - start)
        for start, end in itertools.pairwise(edges)
    ]
    return float(np.prod(1 - np.array(shares)))


@pytest.mark.parametrize(("n", "k"), [(130, 5), (17, 5), (12, 4), (7, 6)])
def test_every_record_is_drawn_as_often_as_every_other(n, k):
    counts = np.bincount([i for seed in range(SEEDS) for i in draw(range(n), k, seed)], minlength=n)
    expected = SEEDS * k / n
    assert np.abs(counts - expected).max() < 4.5 * np.sqrt(expected)
    assert counts.sum() == SEEDS * k


def test_a_draw_depends_on_the_reviewers_seed_alone_and_spreads_over_the_records():
    records = [f"run{i:03}" for i in range(130)]
    assert draw(records, 5, 7) == draw(records, 5, 7) != draw(records, 5, 8)
    for seed in range(50):
        assert [records.index(name) // 26 for name in draw(records, 5, seed)] == [0, 1, 2, 3, 4]


def test_a_sample_of_all_is_all():
    assert draw("abc", 3, 0) == draw("abc", 9, 0) == ["a", "b", "c"]
    assert upper_bound(0, 3, 3) == 0 and upper_bound(1, 3, 3) == pytest.approx(1 / 3)
    assert "no estimate" in statement(0, 3, 3)


@pytest.mark.parametrize("placed", ["together", "spread", "by chance", "at the end", "one in each part", "at the cuts"])
@pytest.mark.parametrize(("n", "k", "falsified"), [(130, 5, 13), (130, 7, 13), (57, 5, 6)])
def test_a_tenth_of_falsified_records_is_found_at_the_rate_of_the_bound(n, k, falsified, placed):
    wrong = np.zeros(n, dtype=bool)
    cuts = np.arange(1, k) * n / k
    wrong[
        {
            "together": np.arange(40, 40 + falsified),
            "spread": np.linspace(0, n - 1, falsified).astype(int),
            "by chance": np.random.default_rng(n).choice(n, falsified, replace=False),
            "at the end": np.arange(n - falsified, n),
            "one in each part": (np.arange(falsified) * n / falsified).astype(int),
            "at the cuts": np.resize(np.r_[cuts.astype(int), cuts.astype(int) - 1], falsified),
        }[placed]
    ] = True
    promised = 1 - (1 - wrong.mean()) ** k
    assert 1 - missed(wrong, k) >= promised - 1e-12
    found = np.mean([wrong[draw(range(n), k, seed)].any() for seed in range(SEEDS)])
    assert found == pytest.approx(1 - missed(wrong, k), abs=4 * np.sqrt(0.25 / SEEDS))
    assert found >= promised - 3 * np.sqrt(promised * (1 - promised) / SEEDS)


def test_no_choice_of_wrong_records_is_missed_more_often_than_the_bound_says():
    """All 2^12 of them."""
    for k in (3, 5, 8):
        for chosen in itertools.product([False, True], repeat=12):
            wrong = np.array(chosen)
            assert missed(wrong, k) <= (1 - wrong.mean()) ** k + 1e-12


@pytest.mark.parametrize("k", [1, 5, 20, 59])
def test_the_upper_bound_is_that_of_scipys_exact_test(k):
    for wrong in range(k + 1):
        reference = binomtest(wrong, k, alternative="less").proportion_ci(CONFIDENCE, method="exact").high
        assert upper_bound(wrong, k, 1000) == pytest.approx(reference)


@pytest.mark.parametrize(("n", "k"), [(130, 5), (60, 13)])
def test_the_upper_bound_covers_the_share_as_often_as_it_says(n, k):
    generator = np.random.default_rng(0)
    for falsified in (1, n // 10, n // 3, n // 2):
        for together in (True, False):
            places = np.arange(falsified) if together else generator.choice(n, falsified, replace=False)
            wrong = np.isin(np.arange(n), places)
            counts = [int(wrong[draw(range(n), k, seed)].sum()) for seed in range(1000)]
            covered = np.mean([upper_bound(count, k, n) >= wrong.mean() for count in counts])
            assert covered >= CONFIDENCE - 3 * np.sqrt(0.05 * 0.95 / 1000)


def test_the_bound_is_far_enough_from_what_was_found_for_hoeffdings_theorem():
    for k in range(2, 120):
        for wrong in range(k - 1):
            assert wrong <= k * upper_bound(wrong, k, 10**6) - 1


def test_what_a_reader_is_told():
    assert upper_bound(0, 5, 130) == pytest.approx(0.4507, abs=1e-4)
    assert draws_needed(0.05) == 59 and binom.cdf(0, 59, 0.05) <= 0.05 < binom.cdf(0, 58, 0.05)
    words = statement(0, 5, 130)
    assert "at most 45.1% of all records" in words and "41%" in words and "59 draws" in words
    assert upper_bound(0, 0, 130) == 1.0
