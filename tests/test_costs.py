"""The cost table, the work of runs, and estimates: what is asked of a cluster before anything has run."""

import subprocess
import sys
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from medtransfer.compute import work as work_module
from medtransfer.compute.costs import Costs, load_costs
from medtransfer.compute.estimate import fits, gpu_memory_mb, rate, request, seconds
from medtransfer.compute.work import Work, pretraining_work, run_works
from medtransfer.config import Config, load
from medtransfer.datasets.card import load_card
from medtransfer.errors import UserError
from medtransfer.models.catalogue import BACKBONES, BIT, multiply_adds
from medtransfer.runs import Run, run_table
from tests.conftest import ROOT

TABLE = ROOT / "config" / "costs.yaml"
COSTS = load_costs(TABLE)
BY_SIZE = sorted(BACKBONES, key=lambda backbone: multiply_adds(backbone, 224))
SIZES = st.integers(8, 600)
NETWORKS = st.integers(0, len(BY_SIZE) - 1)


def tier(name: str) -> Config:
    return load(yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text()), name)


def card_images(config: Config) -> dict[str, int | None]:
    cohorts = {cohort for task in config.tasks.values() for cohort in [task.id_cohort, *task.ood_cohorts]}
    datasets = {dataset for cohort in cohorts for dataset in config.sources(cohort)}
    readers = {name: (name in config.datasets and config.datasets[name].reader) or name for name in datasets}
    return {name: load_card(ROOT / f"config/datasets/{reader}.yaml").n_images for name, reader in readers.items()}


def runs_of(config: Config) -> list[Run]:
    return run_table(config.studies, config.search.trials if config.search else 0)


def changed(path: str, value: Any) -> dict[str, Any]:
    """The table with another value at a path of keys."""
    table: Any = yaml.safe_load(TABLE.read_text())
    *folders, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    inner = table
    for key in folders:
        inner = inner[key]
    inner[last] = value
    return table


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("device", "h200", "device: 'h200' is not among devices: rtx_3090, cpu"),
        ("device", "cpu", "devices.cpu.memory_gb: a number is needed"),
        ("rates.3.backbone", "r50x9", "rates.3.backbone: there is no backbone 'r50x9'"),
        ("rates.3.device", "tpu", "rates.3.device: 'tpu' is not among devices"),
        ("rates.3.images_per_second", 0.0, "rates.3.images_per_second: Input should be greater than 0"),
        ("rates.3.images_per_second", float("inf"), "rates.3.images_per_second: "),
        ("rates.3.images_per_second", float("nan"), "rates.3.images_per_second: "),
        ("rates.3.images_per_second", "3e2", "rates.3.images_per_second: Input should be a valid number"),
        ("rates.1.pixels", 224, "rates.1: rtx_3090, r50x1, 224 pixels occurs twice"),
        ("rates", [], "devices.rtx_3090: rates has no entry of it"),
        ("devices.h100", {"title": "H100", "memory_gb": 80}, "devices.h100: rates has no entry of it"),
        ("devices", {"rtx_3090": {"title": "RTX", "memory_gb": 24}}, "devices: 'cpu' is missing"),
        ("memory.activation_mb", {"r50x1": 38.0}, "memory.activation_mb: r152x4 is missing"),
        ("memory.activation_mb.r50x9", 38.0, "memory.activation_mb: there is no backbone 'r50x9'"),
        ("safety", 0.5, "safety: Input should be greater than or equal to 1"),
        ("growth.minutes", float("inf"), "growth.minutes: "),
        ("startup.jobs", 1.0, "startup.jobs: Extra inputs are not permitted"),
    ],
)
def test_a_table_that_is_not_in_order_names_file_and_key(tmp_path: Path, path: str, value: Any, said: str) -> None:
    file = tmp_path / "costs.yaml"
    file.write_text(yaml.safe_dump(changed(path, value), sort_keys=False))
    with pytest.raises(UserError) as error:
        load_costs(file)
    assert str(file) in str(error.value) and said in str(error.value)


@pytest.mark.parametrize("content", [b"", b"- 1\n- 2\n", b"device: [", b"\xff\xfe\x00", None])
def test_what_is_no_table_is_an_error_of_the_user(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "costs.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=str(file)):
        load_costs(file)


def test_the_table_survives_being_written(tmp_path: Path) -> None:
    file = tmp_path / "costs.yaml"
    file.write_text(yaml.safe_dump(COSTS.model_dump()))
    assert load_costs(file) == COSTS


def test_measured_rates_stand() -> None:
    for each in COSTS.rates:
        assert rate(each.backbone, each.pixels, COSTS, each.device) == each.images_per_second


def test_other_sizes_are_scaled_by_multiply_adds() -> None:
    work = multiply_adds("r50x1", 448) / multiply_adds("r50x1", 480)
    assert rate("r50x1", 480, COSTS, "rtx_3090") == pytest.approx(149 * work)
    assert rate("r101x1", 224, COSTS, "rtx_3090") == pytest.approx(84.6 * 4, rel=0.1)
    assert rate("r14w16", 40, COSTS, "cpu") == pytest.approx(6485 * (32 / 40) ** 2, rel=0.1)


def test_networks_never_measured_are_no_faster_than_the_fastest() -> None:
    assert rate("r14w16", 32, COSTS, "rtx_3090") == 587
    assert rate("r152x4", 224, COSTS, "cpu") < rate("r50x3", 224, COSTS, "cpu") < 3.5


@given(NETWORKS, NETWORKS, SIZES, SIZES, st.sampled_from(list(COSTS.devices)))
def test_no_larger_network_or_image_is_faster(one: int, other: int, size: int, other_size: int, device: str) -> None:
    small, large = sorted((one, other))
    low, high = sorted((size, other_size))
    assert rate(BY_SIZE[small], low, COSTS, device) >= rate(BY_SIZE[large], high, COSTS, device) > 0


@given(
    st.dictionaries(st.tuples(NETWORKS, SIZES), st.floats(0.1, 1e5), min_size=1, max_size=12),
    NETWORKS,
    NETWORKS,
    SIZES,
    SIZES,
)
def test_any_consistent_measurements_keep_that_order(
    found: dict[tuple[int, int], float], one: int, other: int, size: int, other_size: int
) -> None:
    """Whatever was measured where, as long as no measured rate contradicts another."""
    places = sorted(found, key=lambda place: multiply_adds(BY_SIZE[place[0]], place[1]) * (1 + place[1] / 1e6))
    rates = [
        {
            "device": device,
            "backbone": BY_SIZE[network],
            "pixels": pixels,
            "images_per_second": value,
            "source": "drawn",
        }
        for (network, pixels), value in zip(places, sorted(found.values(), reverse=True), strict=True)
        for device in COSTS.devices
    ]
    costs = Costs.model_validate(changed("rates", rates))
    (small, large), (low, high) = sorted((one, other)), sorted((size, other_size))
    assert rate(BY_SIZE[small], low, costs, "cpu") >= rate(BY_SIZE[large], high, costs, "cpu") > 0
    for place, value in zip(places, sorted(found.values(), reverse=True), strict=True):
        assert rate(BY_SIZE[place[0]], place[1], costs, "cpu") == value


def test_an_unknown_backbone_is_named() -> None:
    with pytest.raises(UserError, match="r50x9"):
        rate("r50x9", 224, COSTS, "cpu")


def test_hours_of_one_fine_tuning_by_the_rule() -> None:
    """The sums that anyone makes first: 10,000 steps of 512 images on one GPU."""
    hours = seconds(Work("r50x1", 448, 10_000 * 512, 0), COSTS, "cuda") / 3600
    assert hours == pytest.approx(9.5, abs=0.1)
    assert seconds(Work("r152x4", 480, 10_000 * 512, 0), COSTS, "cuda") / 3600 == pytest.approx(290, abs=1)


def test_prediction_is_cheaper_and_devices_share_the_work() -> None:
    trained, predicted = Work("r50x1", 224, 1000, 0), Work("r50x1", 224, 0, 1000)
    assert seconds(trained, COSTS, "cuda") == pytest.approx(2.5 * seconds(predicted, COSTS, "cuda"))
    alone, four = (seconds(trained, COSTS, "cuda", devices) for devices in (1, 4))
    assert alone / 4 < four < alone / 3
    assert seconds(trained, COSTS, "cpu") > 100 * alone


def test_requests_grow_with_the_attempt() -> None:
    work = Work("r152x4", 480, 500 * 512, 10_000)
    requests = [request(work, COSTS, "cuda", 2, 8, 64_000, attempt) for attempt in (1, 2, 3)]
    assert [each.gpus for each in requests] == [2, 2, 2] and requests[0].threads == 8
    assert requests[0].minutes * 60 >= COSTS.safety * seconds(work, COSTS, "cuda", 2) + COSTS.startup.job
    for before, after in pairwise(requests):
        assert after.minutes >= COSTS.growth.minutes * before.minutes - 1
        assert after.mem_mb >= COSTS.growth.memory * before.mem_mb - 1
    assert all(isinstance(value, int) for each in requests for value in vars(each).values())


def test_on_a_cpu_memory_is_what_was_configured() -> None:
    work = Work("r14w16", 40, 6400, 1000)
    first, second = (request(work, COSTS, "cpu", 1, 1, 3000, attempt) for attempt in (1, 2))
    assert (first.gpus, first.mem_mb, first.threads) == (0, 3000, 1)
    assert second.mem_mb == ceil(3000 * COSTS.growth.memory)
    assert first.minutes >= 2, "start-up alone takes so long on a cluster"


def test_memory_of_the_host_holds_the_network() -> None:
    small, large = (request(Work(name, 448, 1, 0), COSTS, "cuda", 1, 1, 1).mem_mb for name in ("r50x1", "r152x4"))
    assert small >= 4000 and large - small > 0.9e9 * 12 / 2**20


def test_what_fits_a_gpu() -> None:
    assert fits(Work("r152x4", 480, 1, 0), COSTS), "timm trains it with batches of two in 24 GB"
    assert not fits(Work("r152x4", 2048, 1, 0), COSTS)
    sizes = [gpu_memory_mb(Work(backbone, 448, 1, 0), COSTS) for backbone in BY_SIZE]
    assert sizes == sorted(sizes)
    assert gpu_memory_mb(Work("r152x4", 448, 1, 0), COSTS) > 4 * 4 * 928e6 / 2**20 + 1299


def test_work_of_the_tiers() -> None:
    config = tier("demo")
    works = run_works(config, runs_of(config), card_images(config), COSTS)
    assert list(works) == runs_of(config)
    by_name = {(run.task, run.recipe, run.backbone): work for run, work in works.items()}
    assert by_name["chest5", "rule", "r14w16"].trained == 100 * 64
    assert by_name["chest5", "long", "r14w16"].trained == 300 * 64
    assert by_name["chest5-low", "rule", "r26w32"].crop == 32
    # Drawn: 2,000 + 1,000 + 1,000 images. Eleven looks at 200, validation and test images, activations twice.
    assert by_name["chest5", "rule", "r14w16"].predicted == 11 * 200 + 2 * 128 + 600 + 2 * 200


def test_the_rule_sees_the_size_of_the_cohort() -> None:
    config = tier("paper")
    works = run_works(config, runs_of(config), card_images(config), COSTS)
    trained = {(run.task, run.budget): work.trained for run, work in works.items() if run.recipe == "rule"}
    assert trained["chest5", "pct100"] == trained["chest5", "pct25"] == 10_000 * 512
    assert trained["chest5", "pct1"] == trained["skin8", "pct100"] == 500 * 512
    assert {work.crop for run, work in works.items() if run.task != "chest5-low"} == {480}
    assert {work.backbone for work in works.values()} == set(BIT)
    assert all(fits(work, COSTS) for work in works.values())


def test_unknown_and_joint_cohorts_are_counted() -> None:
    config = tier("paper")
    known = work_module.cohort_images(config, "chest_cm", {"chexpert": 10, "mimic_cxr": 20}, COSTS)
    assert known == 30
    for images in ({}, {"chexpert": None, "mimic_cxr": None}):
        assert work_module.cohort_images(config, "chest_cm", images, COSTS) == 2 * COSTS.images.unknown


def test_pretraining_is_steps_times_batch() -> None:
    work = pretraining_work(tier("small"), "cifar100-large", "r26w64", {"cifar100": 60_000}, COSTS)
    assert work == Work("r26w64", 28, 3000 * 128, 6000)


def test_runs_that_differ_by_chance_alone_are_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    config = tier("paper")
    seen: list[Run] = []
    original = work_module.run_work

    def counted(config: Config, recipe: Any, run: Run, images: Any, costs: Costs) -> Work:
        seen.append(run)
        return original(config, recipe, run, images, costs)

    monkeypatch.setattr(work_module, "run_work", counted)
    runs = runs_of(config)
    assert len(run_works(config, runs, card_images(config), COSTS)) == len(runs)
    assert len(seen) == len({(run.task, run.backbone, run.recipe, run.budget) for run in runs}) < len(runs) / 5


def test_parsing_estimates_imports_nothing_slow() -> None:
    code = (
        "import sys; from medtransfer.compute import batches, costs, estimate, work; "
        "print([name for name in ('torch', 'timm', 'matplotlib', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": "workflow_scripts"}, cwd=ROOT
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_activations_computed_twice_take_longer_and_less_memory() -> None:
    work = Work("r152x4", 480, trained=1000, predicted=0)
    assert seconds(work, COSTS, "cuda", recompute=True) == pytest.approx(1.33 * seconds(work, COSTS, "cuda"))
    whole, recomputed, split = (
        gpu_memory_mb(work, COSTS, parts, recompute) for parts, recompute in ((1, False), (1, True), (4, False))
    )
    assert recomputed < whole and split < whole - 10_000  # of 14 GiB of weights and what goes with them
