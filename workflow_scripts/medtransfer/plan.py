"""What a configuration's runs need of each other, and what is made of them: plain values that the rules hand on."""

from collections.abc import Mapping, Sequence
from typing import Any

from medtransfer.config import NO_UPSTREAM, RULE, Config, Finetuned, Released
from medtransfer.models.catalogue import parameter_count
from medtransfer.runs import Run, budget_name

# Each by its name, which is that of its rule, script and caption: its title, and the arm without which it is not made.
FIGURES = {
    "scale_performance": ("Performance against scale", "scale"),
    "scale_shift": ("In and out of distribution", "scale"),
    "scale_adaptation": ("Adaptation to another hospital", "adaptation"),
    "scale_efficiency": ("Performance against training fraction", "efficiency"),
    "scale_benefit": ("Benefit of transfer against target data", "efficiency"),
    "scale_fairness": ("Sub-groups", "scale"),
    "scale_equity": ("Gaps at the operating point", "scale"),
    "scale_calibration": ("Reliability", "scale"),
    "scale_uncertainty": ("Calibration against scale", "scale"),
    "scale_selective": ("Selective prediction", "scale"),
    "scale_convergence": ("Convergence", "scale"),
    "scale_representation": ("Reuse of representations", "depth"),
    "scale_fits": ("Scaling fits", "scale"),
}
TABLES = {
    "scale_table": ("All results", "scale"),
    "scale_needed": ("Patients needed", "efficiency"),
    "scale_fairness_table": ("Sub-groups", "scale"),
    "scale_uncertainty_table": ("Calibration", "scale"),
    "scale_convergence_table": ("Convergence", "scale"),
    "scale_fits_table": ("Scaling fits", "scale"),
    "scale_sensitivity": ("Decisions taken otherwise", "sensitivity"),
}


def shown(config: Config, drawn: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Of figures or tables those whose arm some study has, with their titles."""
    arms = {arm for study in config.studies.values() for arm in study.arms}
    return {name: title for name, (title, arm) in drawn.items() if arm in arms}


def cohort_names(config: Config, task: str) -> list[str]:
    """The cohorts of a task, the one that is trained on first."""
    return [config.tasks[task].id_cohort, *config.tasks[task].ood_cohorts]


def task_groups(config: Config, runs: Sequence[Run]) -> dict[str, str]:
    """For each task the first that has the same cohorts, which need to be compared with one another but once."""
    first: dict[tuple[str, ...], str] = {}
    tasks = dict.fromkeys(run.task for run in runs)
    return {task: first.setdefault(tuple(cohort_names(config, task)), task) for task in tasks}


def origin(upstream: Finetuned, backbone: str, seed: int) -> Run:
    """The run whose network a fine-tuned upstream goes on from."""
    initialisation = "random" if upstream.upstream == NO_UPSTREAM else "pretrained"
    return Run(upstream.task, backbone, upstream.upstream, initialisation, RULE, budget_name(1.0), seed)


def origins(config: Config, runs: Sequence[Run]) -> list[Run]:
    """All runs that others go on from, which therefore keep their weights."""
    return [
        origin(upstream, run.backbone, run.seed)
        for run in runs
        if isinstance(upstream := config.upstreams.get(run.upstream), Finetuned)
    ]


def released_facts(config: Config) -> dict[str, dict[str, Any]]:
    """Of each upstream published by others: images, how many of them were `seen`, at what size."""
    return {
        name: {"images": upstream.images, "seen": round(upstream.images * upstream.epochs), "crop": upstream.crop}
        for name, upstream in config.upstreams.items()
        if isinstance(upstream, Released)
    }


def study_facts(config: Config, runs: Sequence[Run], study: str, cohort_titles: Mapping[str, str]) -> dict[str, Any]:
    """What figures, tables and claims need to know of a study: a `medtransfer.results.Study`."""
    own = [run for run in runs if any(arm.startswith(f"{study}/") for arm in run.arms)]
    tasks, backbones, upstreams = (
        list(dict.fromkeys(getattr(run, key) for run in own)) for key in ("task", "backbone", "upstream")
    )
    reported = {"title", "kind", "labels", "primary_metric", "id_cohort", "ood_cohorts"}
    adapted = {name: each for name, each in config.upstreams.items() if isinstance(each, Finetuned)}
    cohorts = {cohort: cohort_titles[cohort] for task in tasks for cohort in cohort_names(config, task)}
    return {
        "name": study,
        "tasks": {task: config.tasks[task].model_dump(include=reported) for task in tasks},
        "backbones": {backbone: parameter_count(backbone) for backbone in backbones},
        "upstreams": upstreams,
        "adapted": {name: each.model_dump(include={"task", "upstream"}) for name, each in adapted.items()},
        "variants": config.studies[study].variants,
        "roles": dict(config.studies[study].roles),
        "titles": cohorts
        | {name: f"{each.upstream}, then {config.tasks[each.task].title}" for name, each in adapted.items()},
        "confidence": config.metrics.confidence,
        "min_group": config.metrics.min_group,
        "note": config.note,
    }
