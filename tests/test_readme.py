"""The README's table of datasets says what the cards say, and the cards name the tiers that use them."""

from itertools import groupby

import pytest
import yaml

from medtransfer.config import PretrainedHere, load
from medtransfer.datasets import known_datasets
from medtransfer.datasets.card import Card, load_card
from tests.conftest import ROOT

START, END = "<!-- datasets -->\n", "<!-- /datasets -->\n"
TIERS = ("demo", "small", "paper")
HEADER = "| dataset | images | size (mostly recalled) | access | licence | tested on | tiers |\n" + 7 * "|---" + "|\n"


def cards() -> dict[str, Card]:
    return {name: load_card(ROOT / "config" / "datasets" / f"{name}.yaml") for name in known_datasets()}


def used_datasets(tier: str) -> set[str]:
    """The datasets whose cards a tier needs."""
    config = load(yaml.safe_load((ROOT / "config" / f"{tier}.yaml").read_text()), tier)
    cohorts = {name for task in config.tasks.values() for name in (task.id_cohort, *task.ood_cohorts)}
    sources = {dataset for cohort in cohorts | set(config.cohorts) for dataset in config.sources(cohort)}
    sources |= {upstream.dataset for upstream in config.upstreams.values() if isinstance(upstream, PretrainedHere)}
    return {(name in config.datasets and config.datasets[name].reader) or name for name in sources}


def table() -> str:
    """Markdown: a row for each dataset; datasets of one publication share one."""

    def publication(item: tuple[str, Card]) -> tuple[str, ...]:
        card = item[1]
        return (card.home, card.licence, card.access, card.tested, " ".join(card.tiers))

    rows = []
    for _, same in groupby(sorted(cards().items(), key=publication), publication):
        names, facts = zip(*same, strict=True)
        card = facts[0]
        titles = ", ".join(f"{fact.title} (`{name}`)" for name, fact in zip(names, facts, strict=True))
        counts = [fact.n_images for fact in facts]
        images = f"{sum(filter(None, counts)):,}" if all(counts) else "?"
        sizes = [fact.gigabytes for fact in facts]
        size = f"{sum(filter(None, sizes)):,g} GB" if all(sizes) else "?"
        tiers = ", ".join(card.tiers) or "–"
        rows.append(f"| {titles} | {images} | {size} | {card.access} | {card.licence} | {card.tested} | {tiers} |\n")
    return HEADER + "".join(sorted(rows, key=str.casefold))


def test_the_table_of_datasets_is_in_step_with_the_cards() -> None:
    readme = (ROOT / "README.md").read_text()
    assert readme.partition(START)[2].partition(END)[0] == table(), "run: python -m tests.test_readme"


@pytest.mark.parametrize("tier", TIERS)
def test_cards_name_the_tiers_that_use_them(tier: str) -> None:
    assert {name for name, card in cards().items() if tier in card.tiers} == used_datasets(tier)


if __name__ == "__main__":
    before, _, rest = (ROOT / "README.md").read_text().partition(START)
    (ROOT / "README.md").write_text(before + START + table() + END + rest.partition(END)[2])
