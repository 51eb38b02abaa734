"""What a run or a pre-training amounts to, from the configuration and the cards of its datasets: no data is read.

Counts are estimates. A dataset has the images that its card states; a cohort that takes a part of it is counted whole,
and so are images that a task leaves out for their view or for want of labels.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from medtransfer.compute.costs import Costs
from medtransfer.config import Config, PretrainedHere, Recipe
from medtransfer.runs import Run, budget_fraction
from medtransfer.training.recipe import hyperrule, named_recipes, resolution


@dataclass(frozen=True)
class Work:
    """Images that a network has to see.

    Args:
        backbone: The network.
        crop: Side of the images, in pixels.
        trained: Images forward and backward: steps times batch.
        predicted: Images forward only: looks while training, and evaluation.
    """

    backbone: str
    crop: int
    trained: int
    predicted: int


def run_works(
    config: Config, runs: Iterable[Run], card_images: Mapping[str, int | None], costs: Costs
) -> dict[Run, Work]:
    """The work of many runs, in their order: runs that differ by upstream, initialisation or seed amount to the same.

    `card_images` holds for each dataset the images that its card states, or None.
    """
    recipes = named_recipes(config.recipe, config.recipes, config.search)
    done: dict[tuple[str, ...], Work] = {}
    works = {}
    for run in runs:
        key = (run.task, run.backbone, run.recipe, run.budget)
        if key not in done:
            done[key] = run_work(config, recipes[run.recipe], run, card_images, costs)
        works[run] = done[key]
    return works


def run_work(config: Config, recipe: Recipe, run: Run, card_images: Mapping[str, int | None], costs: Costs) -> Work:
    """The work of one run, trained by its `recipe`."""
    task, shares = config.tasks[run.task], costs.images
    known = cohort_images(config, task.id_cohort, card_images, costs)
    others = sum(cohort_images(config, cohort, card_images, costs) for cohort in task.ood_cohorts)
    rows = max(1, round(known * shares.train * budget_fraction(run.budget)))
    rule = hyperrule(rows, recipe.hyperrule, recipe.overrides)
    tracked = min(config.tracking.images, round(known * shares.val))
    # One look more than asked for, before the first step; activations are compared before and after training.
    looks = (config.tracking.looks + 1) * tracked + 2 * config.tracking.similarity_images
    evaluated = round(known * (shares.val + shares.test) + others * shares.test)
    crop = (task.resolution or resolution(config.recipe.hyperrule, run.backbone)).crop
    return Work(run.backbone, crop, rule.steps * rule.batch, looks + evaluated)


def pretraining_work(
    config: Config, upstream: str, backbone: str, card_images: Mapping[str, int | None], costs: Costs
) -> Work:
    """The work of pre-training a backbone on an upstream that this workflow makes itself."""
    settings = config.upstreams[upstream]
    assert isinstance(settings, PretrainedHere)
    validated = round(dataset_images(config, settings.dataset, card_images, costs) * costs.images.val)
    return Work(backbone, settings.resolution.crop, settings.steps * settings.batch, validated)


def cohort_images(config: Config, cohort: str, card_images: Mapping[str, int | None], costs: Costs) -> int:
    """Images of all datasets that a cohort is made of."""
    return sum(dataset_images(config, dataset, card_images, costs) for dataset in config.sources(cohort))


def dataset_images(config: Config, dataset: str, card_images: Mapping[str, int | None], costs: Costs) -> int:
    """Images of a dataset: as many as are drawn, else as its card states, else a guess."""
    if dataset in config.synthetic:
        return config.synthetic[dataset].patients * costs.images.per_drawn_patient
    return card_images.get(dataset) or costs.images.unknown
