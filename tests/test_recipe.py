"""The HyperRule against its authors' numbers (big_transfer, bit_hyperrule.py) and the paper's text."""

import pytest

from medtransfer.config import Overrides, PretrainedHere
from medtransfer.training.recipe import hyperrule, learning_rate, resolution, size_class, upstream_rule

SMALL = {0: 0, 50: 0.0015, 100: 0.003, 200: 0.003, 201: 3e-4, 300: 3e-4, 301: 3e-5, 401: 3e-6, 499: 3e-6}
MEDIUM = {250: 0.0015, 500: 0.003, 3000: 0.003, 3001: 3e-4, 6001: 3e-5, 9001: 3e-6}
LARGE = {500: 0.003, 6001: 3e-4, 12001: 3e-5, 18001: 3e-6}


@pytest.mark.parametrize(
    ("n_images", "rates", "steps", "mixup"),
    [
        (19_999, SMALL, 500, 0.0),
        (20_000, MEDIUM, 10_000, 0.1),
        (499_999, MEDIUM, 10_000, 0.1),
        (500_000, LARGE, 20_000, 0.1),
    ],
)
def test_the_released_rule(n_images: int, rates: dict[int, float], steps: int, mixup: float) -> None:
    settings = hyperrule(n_images, "code", Overrides())
    assert (settings.steps, settings.mixup, settings.batch) == (steps, mixup, 512)
    assert (settings.momentum, settings.weight_decay, settings.deviations) == (0.9, 0.0, ())
    for step, rate in rates.items():
        assert learning_rate(settings, step) == pytest.approx(rate, rel=1e-12)


@pytest.mark.parametrize("n_images", [100, 100_000, 10**6])
def test_the_papers_rule_drops_at_30_60_and_90_percent(n_images: int) -> None:
    settings = hyperrule(n_images, "paper", Overrides())
    for share, before, after in ((0.3, 0.003, 3e-4), (0.6, 3e-4, 3e-5), (0.9, 3e-5, 3e-6)):
        boundary = round(share * settings.steps)
        assert learning_rate(settings, boundary) == pytest.approx(before)
        assert learning_rate(settings, boundary + 1) == pytest.approx(after)


def test_deviations_are_named_and_stretch_the_schedule() -> None:
    settings = hyperrule(100, "code", Overrides(steps=50, learning_rate=0.03, mixup=0.0))
    assert settings.schedule == (10, 20, 30, 40, 50)
    assert settings.deviations == ("steps=50", "learning_rate=0.03", "mixup=0.0")
    assert learning_rate(settings, 5) == pytest.approx(0.015)
    assert learning_rate(settings, 21) == pytest.approx(0.003)


def test_resolutions() -> None:
    assert resolution("code", "r50x1").model_dump() == {"resize": 512, "crop": 480}
    assert resolution("paper", "r50x1").model_dump() == {"resize": 448, "crop": 384}
    assert resolution("paper", "r152x4").model_dump() == {"resize": 512, "crop": 480}
    assert [size_class(n) for n in (1, 20_000, 500_000)] == ["small", "medium", "large"]


def test_upstream_training_follows_bit() -> None:
    settings = PretrainedHere.model_validate(
        {
            "source": "pretrain",
            "dataset": "scenes",
            "resolution": {"resize": 48, "crop": 40},
            "steps": 900,
            "batch": 4096,
        }
    )
    rule = upstream_rule(settings)
    assert rule.weight_decay == 1e-4
    assert learning_rate(rule, 300) == pytest.approx(0.03 * 4096 / 256)
    for boundary, rate in ((301, 0.048), (601, 0.0048), (801, 0.00048)):
        assert learning_rate(rule, boundary) == pytest.approx(rate)
