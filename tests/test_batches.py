"""Which runs share a cluster job: never more than the limit, never twice, never other than before."""

from hypothesis import given
from hypothesis import strategies as st

from medtransfer.compute.batches import batches
from medtransfer.runs import Run

NAMES = st.sampled_from(["a", "b", "a-r50x1-b", "a-b"])
RUNS = st.builds(
    Run,
    task=NAMES,
    backbone=st.sampled_from(["r50x1", "r14w16"]),
    upstream=NAMES,
    initialisation=st.just("pretrained"),
    recipe=st.just("rule"),
    budget=st.sampled_from(["pct1", "pct100"]),
    seed=st.integers(0, 9),
)
TABLES = st.dictionaries(RUNS, st.floats(0.1, 150), max_size=40)


def run(seed: int, task: str = "chest5", upstream: str = "none") -> Run:
    return Run(task, "r14w16", upstream, "random", "rule", "pct100", seed)


def key(each: Run) -> tuple[str, str, str]:
    return each.task, each.backbone, each.upstream


def test_short_runs_are_put_together_up_to_the_limit() -> None:
    named = batches({run(seed): 40.0 for seed in range(5)}, limit=100)
    assert [named.get(run(seed)) for seed in range(5)] == [
        "batch.chest5.r14w16.none.0",
        "batch.chest5.r14w16.none.0",
        "batch.chest5.r14w16.none.1",
        "batch.chest5.r14w16.none.1",
        None,
    ]


def test_long_runs_stay_alone() -> None:
    named = batches({run(0): 10.0, run(1): 51.0, run(2): 10.0}, limit=100)
    assert set(named) == {run(0), run(2)} and len(set(named.values())) == 1


def test_no_limit_means_no_batches() -> None:
    assert batches({run(seed): 1.0 for seed in range(5)}, limit=0) == {}
    assert batches({}, limit=100) == {}


def test_names_that_read_alike_are_different_batches() -> None:
    pairs = [("a", "b-r14w16-c"), ("a-r14w16-b", "c")]
    named = batches({run(seed, *pair): 1.0 for pair in pairs for seed in range(2)}, limit=100)
    assert len(named) == 4 and len(set(named.values())) == 2


@given(TABLES)
def test_a_batch_is_of_one_kind_and_within_the_limit(table: dict[Run, float]) -> None:
    named = batches(table, limit=100)
    for batch in set(named.values()):
        members = [each for each in named if named[each] == batch]
        assert len(members) > 1 and len({key(each) for each in members}) == 1
        assert sum(table[each] for each in members) <= 100 + 1e-9
        assert max(table[each] for each in members) <= 50


@given(TABLES, TABLES)
def test_runs_added_at_the_end_leave_full_batches_as_they_are(table: dict[Run, float], more: dict[Run, float]) -> None:
    grown = table | {each: needed for each, needed in more.items() if each not in table}
    before, after = batches(table, limit=100), batches(grown, limit=100)
    assert all(after[each] == batch for each, batch in before.items())


@given(TABLES)
def test_neighbouring_batches_could_not_have_been_one(table: dict[Run, float]) -> None:
    """Few jobs: what two batches in a row hold together exceeds the limit."""
    named = batches(table, limit=100)
    held: dict[str, float] = {}
    for each, batch in named.items():
        held[batch] = held.get(batch, 0.0) + table[each]
    for batch, seconds in held.items():
        stem, number = batch.rsplit(".", 1)
        following = held.get(f"{stem}.{int(number) + 1}")
        assert following is None or seconds + following > 100 - 1e-9
