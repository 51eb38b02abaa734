"""The BiT-HyperRule: every fine-tuning hyper-parameter from the size of the training set, and nothing tuned.

Kolesnikov et al. 2020 (arXiv 1912.11370), section 3.3, and google-research/big_transfer, `bit_hyperrule.py`. The two
disagree in places, so both variants are here; a result's run.json names the one it used. Deviations are explicit
overrides.
"""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from medtransfer.config import RULE, Overrides, PretrainedHere, Recipe, Resolution, Search
from medtransfer.runs import trial_names

Variant = Literal["code", "paper"]

SMALL, MEDIUM = 20_000, 500_000
"""Training sets below these many images are small, medium; others are large."""

CODE_SCHEDULES = {
    "small": (100, 200, 300, 400, 500),
    "medium": (500, 3_000, 6_000, 9_000, 10_000),
    "large": (500, 6_000, 12_000, 18_000, 20_000),
}
"""Warm-up end, three drops of the learning rate, and the last step, as released."""

PAPER_DROPS = (0.3, 0.6, 0.9)
"""Drops as shares of all steps, as the paper words it."""


@dataclass(frozen=True)
class Hyperparameters:
    """All that an optimiser run needs to know.

    `schedule` holds the warm-up's end, the steps after which the rate falls tenfold, and the number of steps.
    """

    schedule: tuple[int, ...]
    batch: int
    learning_rate: float
    mixup: float
    weight_decay: float = 0.0
    momentum: float = 0.9
    deviations: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        """Optimiser steps."""
        return self.schedule[-1]


def size_class(n_images: int) -> str:
    """`small`, `medium` or `large`, by the number of training images (the subset's, for a part of them)."""
    return "small" if n_images < SMALL else "medium" if n_images < MEDIUM else "large"


def hyperrule(n_images: int, variant: Variant, overrides: Overrides) -> Hyperparameters:
    """Hyper-parameters of a fine-tuning.

    Args:
        n_images: Training images.
        variant: `code` or `paper`.
        overrides: Named deviations; each is repeated in `deviations`. New `steps`, and then `stretch`, stretch the
            schedule evenly.
    """
    size = size_class(n_images)
    schedule: tuple[int, ...] = CODE_SCHEDULES[size]
    if variant == "paper":
        steps = schedule[-1]
        schedule = (schedule[0], *(round(drop * steps) for drop in PAPER_DROPS), steps)
    longer = (overrides.steps or schedule[-1]) / schedule[-1] * (overrides.stretch or 1.0)
    schedule = tuple(round(boundary * longer) for boundary in schedule)
    rule = Hyperparameters(schedule, batch=512, learning_rate=0.003, mixup=0.0 if size == "small" else 0.1)
    deviations = {name: value for name, value in overrides.model_dump().items() if value is not None}
    return Hyperparameters(
        rule.schedule,
        batch=deviations.get("batch", rule.batch),
        learning_rate=deviations.get("learning_rate", rule.learning_rate),
        mixup=deviations.get("mixup", rule.mixup),
        weight_decay=deviations.get("weight_decay", rule.weight_decay),
        deviations=tuple(f"{name}={value}" for name, value in deviations.items()),
    )


def named_recipes(rule: Recipe, recipes: Mapping[str, Overrides], search: Search | None) -> dict[str, Recipe]:
    """Every recipe of a configuration by the name that runs give it: `rule`, the named ones, trials of the search."""
    trials = zip(trial_names(search.trials), random_trials(search), strict=True) if search else ()
    return {RULE: rule} | {
        name: rule.model_copy(update={"overrides": _over(rule.overrides, overrides)})
        for name, overrides in [*recipes.items(), *trials]
    }


def random_trials(search: Search) -> list[Overrides]:
    """The trials of a random search: rate and weight decay log-uniform, the others one of their values each.

    Kolesnikov et al. 2020, section 3.3 (theirs draw 40 trials, which saturate near 20). More trials leave the first
    ones as they are.
    """
    generator = random.Random(search.seed)

    def log_uniform(ends: list[float]) -> float:
        low, high = (math.log10(end) for end in ends)
        return float(f"{10 ** (low + (high - low) * generator.random()):.3g}")

    return [
        Overrides(
            learning_rate=log_uniform(search.learning_rate),
            weight_decay=log_uniform(search.weight_decay),
            stretch=search.stretch[int(generator.random() * len(search.stretch))],
            mixup=search.mixup[int(generator.random() * len(search.mixup))],
        )
        for _ in range(search.trials)
    ]


def _over(overrides: Overrides, others: Overrides) -> Overrides:
    given = {name: value for name, value in others.model_dump().items() if value is not None}
    return overrides.model_copy(update=given)


def upstream_rule(settings: PretrainedHere) -> Hyperparameters:
    """Hyper-parameters of a pre-training, after BiT's (paper, section 3.2), with the number of steps given.

    SGD with momentum 0.9 and weight decay 1e-4, a rate of `learning_rate` times batch / 256, tenfold drops at 30/90,
    60/90 and 80/90 of the way, no mixup. BiT warms up for 5,000 steps, here 5 % of the way.
    """
    steps = settings.steps
    schedule = (max(1, steps // 20), *(round(steps * epoch / 90) for epoch in (30, 60, 80)), steps)
    rate = settings.learning_rate * settings.batch / 256
    return Hyperparameters(schedule, settings.batch, learning_rate=rate, mixup=0.0, weight_decay=1e-4)


def learning_rate(settings: Hyperparameters, step: int) -> float:
    """The learning rate of a step, counted from 0: linear warm-up from 0, then tenfold drops after each boundary."""
    warmup, *drops, _ = settings.schedule
    if step < warmup:
        return settings.learning_rate * step / warmup
    return settings.learning_rate / 10 ** sum(step > drop for drop in drops)


def resolution(variant: Variant, backbone: str) -> Resolution:
    """Image sizes for images larger than 96 x 96 pixels, as every medical image is.

    The released code uses 512/480 throughout; the paper 448/384, and 512/480 for R152x4 alone.
    """
    if variant == "code" or backbone == "r152x4":
        return Resolution(resize=512, crop=480)
    return Resolution(resize=448, crop=384)
