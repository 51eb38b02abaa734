"""What readers of the figure of representation reuse rely on: similarity by depth, prefixes with both their ends."""

import numpy as np
import pandas as pd
import pytest
from figures import scale_representation

from medtransfer.errors import UserError
from medtransfer.files import write_parquet
from medtransfer.plotting.numbers import ALL_SEEDS, means
from medtransfer.results import Results
from tests.invented import ARMS, BLOCKS, STUDY, runs, tables

GRID = {"scale": ARMS["scale"], "depth": ARMS["depth"]}
CELL = ["task", "backbone", "upstream"]


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    found = tables(folder, runs(GRID))
    similarity = pd.read_parquet(found["similarity"])
    noise = np.random.default_rng(0).uniform(-0.02, 0.02, len(similarity))
    for column in ("value", "ci_low", "ci_high"):
        similarity[column] += noise
    write_parquet(similarity, folder / "similarity.parquet")
    return found


def numbers_of(paths) -> pd.DataFrame:
    return scale_representation.numbers_of(Results.load(paths, STUDY), paths["similarity"])


def drawn(numbers, kind) -> pd.DataFrame:
    return numbers[numbers["drawn"] == kind]


def xy(line) -> list[list[float]]:
    """The points of a line: [2, points]."""
    return np.asarray(line.get_data(), dtype=float).tolist()


# --- Similarity ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("comparison", "pairs"), [("fine-tuning", ["0", "1"]), ("seeds", ["0-1"])])
def test_similarity_is_the_mean_over_seeds_within_the_hull_of_their_intervals(paths, comparison, pairs):
    table = pd.read_parquet(paths["similarity"]).query("initialisation in ['random', 'pretrained']")
    chosen = table[(table["comparison"] == comparison) & table["backbone"].isin(["r14w16", "r26w64"])]
    by_pair = {pair: part.set_index([*CELL, "block"]) for pair, part in chosen.groupby("seeds")}
    assert list(by_pair) == pairs
    found = drawn(numbers_of(paths), comparison).set_index([*CELL, "block"])
    assert len(found) == 2 * 2 * 3 * len(BLOCKS)
    for column, pool in (("value", np.mean), ("ci_low", np.min), ("ci_high", np.max)):
        expected = pool([part.loc[found.index, column] for part in by_pair.values()], axis=0)
        np.testing.assert_allclose(found[column], expected)
    assert (found["n_seeds"] == len(pairs)).all()
    assert (found["n"] == 128).all()


def test_depth_runs_from_the_stem_to_the_last_block(paths):
    for _, part in drawn(numbers_of(paths), "fine-tuning").groupby(CELL):
        assert list(part.sort_values("depth")["block"]) == BLOCKS
        assert (part["depth"].min(), part["depth"].max()) == (0, 1)


def test_only_networks_of_the_roles_and_cells_of_the_arm_scale_are_compared(paths):
    numbers = drawn(numbers_of(paths), "fine-tuning")
    assert set(numbers["backbone"]) == {"r14w16", "r26w64"}
    assert set(numbers["initialisation"]) == {"random", "pretrained"}


def test_a_task_whose_similarities_are_undefined_has_none(paths, tmp_path):
    similarity = pd.read_parquet(paths["similarity"])
    few = similarity["task"] == "skin8"
    write_parquet(similarity.assign(value=similarity["value"].mask(few)), tmp_path / "similarity.parquet")
    numbers = numbers_of({**paths, "similarity": str(tmp_path / "similarity.parquet")})
    assert set(numbers["task"]) == {"chest5"}


# --- Prefixes --------------------------------------------------------------------------------------------------------


def test_prefixes_stand_between_the_network_from_scratch_and_the_whole_upstream(paths):
    numbers = means(drawn(numbers_of(paths), "prefix"))
    assert set(numbers["task"]) == {"chest5"}
    assert set(numbers["cohort"]) == {"chexpert"}
    for backbone, upstream in (("r14w16", "scenes-small"), ("r26w64", "scenes-large")):
        own = numbers[numbers["backbone"] == backbone].sort_values("blocks")
        assert list(own["blocks"]) == [0, 1, 3, 5]
        assert list(own["initialisation"]) == ["random", "prefix1", "prefix3", "pretrained"]
        assert list(own["upstream"]) == ["none", *[upstream] * 3]


def test_prefixes_are_means_of_test_results(paths):
    metrics = pd.read_parquet(paths["metrics"]).query(
        "cohort == 'chexpert' and metric == 'auc' and label == 'mean' and split == 'test' and subgroup_by == 'all'"
    )
    expected = metrics.groupby([*CELL, "initialisation"])["value"].mean()
    found = means(drawn(numbers_of(paths), "prefix")).set_index([*CELL, "initialisation"])
    np.testing.assert_allclose(found["value"], expected.loc[found.index])
    assert (found["ci_low"] < found["value"]).all()
    assert (found["value"] < found["ci_high"]).all()


def test_a_study_without_prefixes_shows_similarities_alone(tmp_path):
    paths = tables(tmp_path, runs({"scale": ARMS["scale"]}))
    numbers = numbers_of(paths)
    assert set(numbers["drawn"]) == {"fine-tuning", "seeds"}
    figure = scale_representation.draw(numbers, STUDY)
    assert len(figure.axes) == 2 * 2 * 2


def test_one_seed_has_no_comparison_of_seeds_and_no_panel_for_it(paths, tmp_path):
    single = tables(tmp_path, runs({"scale": ARMS["scale"]}, seeds=[0]))
    similarity = pd.read_parquet(single["similarity"])
    write_parquet(similarity[similarity["seeds"] == "0"].reset_index(drop=True), tmp_path / "similarity.parquet")
    figure = scale_representation.draw(numbers_of(single), STUDY)
    assert len(figure.axes) == 2 * 2


def test_a_study_with_neither_is_told_what_to_add(paths, tmp_path):
    none = tables(tmp_path, runs({"scale": ARMS["scale"]}))
    similarity = pd.read_parquet(none["similarity"])
    write_parquet(similarity.assign(value=np.nan), tmp_path / "similarity.parquet")
    with pytest.raises(UserError, match=r"neither similarities nor prefixes.*`similarity_images`.*`depth`"):
        numbers_of(none)


# --- Figure ----------------------------------------------------------------------------------------------------------


def test_the_csv_beside_the_figure_holds_the_drawn_numbers(paths, tmp_path):
    csv = tmp_path / "figure.csv"
    scale_representation.main(paths, STUDY, str(csv), [])
    table = pd.read_csv(csv)
    chest = table[table["task"] == "chest5"]
    panels = scale_representation.draw(chest, STUDY).axes
    kinds = ["fine-tuning", "seeds", "prefix"] * 2
    for panel, kind, backbone in zip(panels, kinds, ["r14w16"] * 3 + ["r26w64"] * 3, strict=True):
        own = means(drawn(chest[chest["backbone"] == backbone], kind))
        marked = [line for line in panel.lines if line.get_marker() != "None"]
        assert sorted(y for line in marked for y in xy(line)[1]) == pytest.approx(sorted(own["value"]))


def test_a_network_without_prefixes_has_no_empty_panel(paths):
    numbers = numbers_of(paths)
    lacking = (numbers["drawn"] == "prefix") & (numbers["backbone"] == "r26w64")
    panels = scale_representation.draw(numbers[~lacking & (numbers["task"] == "chest5")], STUDY).axes
    assert [panel.get_visible() for panel in panels] == [True] * 5 + [False]
    assert panels[2].get_xlabel() == "blocks from the upstream"


def test_lines_of_deep_networks_keep_few_markers(paths):
    numbers = drawn(numbers_of(paths), "fine-tuning").query("task == 'chest5'")
    deep = pd.concat([numbers.assign(depth=(numbers["depth"] + number) / 14) for number in range(13)])
    lines = [line for panel in scale_representation.draw(deep, STUDY).axes for line in panel.lines]
    assert len(lines) == 2 * 3
    for line in lines:
        every = line.get_markevery()
        assert isinstance(every, int)
        assert len(xy(line)[0]) / every <= 2 * scale_representation.MARKERS


def test_the_figure_states_n_and_what_its_numbers_cannot_tell(paths):
    figure = scale_representation.draw(numbers_of(paths), STUDY)
    titles = [panel.get_title(loc="left") for panel in figure.axes]
    assert "CKA before and after fine-tuning\n128 images" in titles
    assert "AUC, CheXpert (ID)\n480 images" in titles
    assert STUDY["note"] in " ".join(text.get_text() for text in figure.texts)


def test_rows_of_similarity_are_means_for_whoever_reads_the_csv(paths):
    assert set(drawn(numbers_of(paths), "seeds")["seed"]) == {ALL_SEEDS}
