"""The claims file: what it declares, and what is refused in it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from medtransfer.claims.schema import ORDINARY, SPECIAL, read_claims
from medtransfer.errors import UserError
from tests.conftest import ROOT

CLAIMS = ROOT / "config" / "claims.yaml"


def test_all_claims_of_the_study_are_declared_with_where_they_were_read() -> None:
    claims = {claim.id: claim for claim in read_claims(CLAIMS)}
    assert list(claims) == [f"S{number}" for number in range(1, 14)]
    for number, claim in enumerate(claims.values(), 1):
        assert claim.source.startswith("[seen: abstract]" if number < 9 else "[second-hand: ")
        assert claim.study == "scale"
    assert claims["S8"].pattern is not None and claims["S8"].pattern.of == ["S2", "S3", "S4", "S5", "S6"]


def test_every_margin_says_that_it_is_ours() -> None:
    for line in CLAIMS.read_text().splitlines():
        declared = line.strip()
        if declared.startswith("expect:") and "0.0}" not in declared and "1.0}" not in declared:
            assert "# ours: " in declared or "# ours, as " in declared or "second-hand" in declared


def test_what_the_paper_studied_without_a_direction_is_asked_with_two_sides() -> None:
    claims = {claim.id: claim for claim in read_claims(CLAIMS)}
    for name in ("S3", "S5", "S6"):
        assert {each.expect.kind for each in claims[name].contrasts} == {"differs"}
        assert claims[name].holds == "any"
    assert all(each.expect.kind != "differs" for each in claims["S11"].contrasts)


def changed(folder: Path, change: Any) -> Path:
    content = yaml.safe_load(CLAIMS.read_text())
    claims = {claim["id"]: claim for claim in content["claims"]}
    change(claims)
    (folder / "claims.yaml").write_text(yaml.safe_dump(content))
    return folder / "claims.yaml"


def first(claims: Any, name: str = "S1") -> Any:
    return claims[name]["contrasts"][0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda claims: claims["S1"].update(colour="red"), "claims.0.colour: Extra inputs"),
        (lambda claims: claims["S1"].pop("source"), "claims.0.source: Field required"),
        (lambda claims: claims["S1"].update(id="S2"), "named twice: S2"),
        (lambda claims: claims["S1"].update(contrasts=[]), "by its contrasts, at least one, or by a pattern"),
        (lambda claims: claims["S1"].update(pattern={"of": ["S2", "S3"]}), "by its contrasts, at least one, or by a"),
        (lambda claims: claims["S1"].update(holds="some"), "claims.0.holds: .*'all' or 'any'"),
        (lambda claims: claims["S8"]["pattern"].update(of=["S2", "S9x"]), "pattern of S8 is of .*: S9x"),
        (lambda claims: claims["S8"]["pattern"].update(of=["S2", "S8"]), "pattern of S8 is of .*: S8"),
        (lambda claims: first(claims).update(expect={"less": 0.0, "greater": 1.0}), "an expectation is one of"),
        (lambda claims: first(claims).update(expect={}), "an expectation is one of"),
        (lambda claims: first(claims).update(expect={"less": None}), "an expectation is one of"),
        (lambda claims: first(claims).update(expect={"less": "1e-2"}), "expect.less: .*number"),
        (lambda claims: first(claims).update(expect={"within": [0.6, 0.3]}), "a low bound below its high one"),
        (lambda claims: first(claims, "S3").update(expect={"differs": 0.0}), "expect.differs: .*greater than 0"),
        (lambda claims: first(claims, "S3").pop("benefit"), "differs: needs benefit"),
        (lambda claims: first(claims).update(benefit="less"), "differs: needs benefit"),
        (lambda claims: first(claims)["terms"][0].update(weight=2.0), "must sum to zero"),
        (lambda claims: first(claims).update(terms=[]), "must sum to zero"),
        (lambda claims: first(claims)["terms"][0].update(upstream="none"), "occurs twice in the terms"),
        (lambda claims: first(claims)["terms"][0].update(backbone="r50x1"), "backbone: .*'small' or 'large'"),
        (lambda claims: first(claims)["terms"][0].update(initialisation="prefix9"), "no initialisation 'prefix9'"),
        (lambda claims: first(claims)["terms"][0].update(budget="pct10"), "budget: .*'full' or 'least'"),
        (lambda claims: first(claims).update(measure={"metric": "auk"}), "no metric 'auk'; there are primary, auc"),
        (lambda claims: first(claims).update(measure={"metric": "nll", "subgroup": "gap"}), "and no nll"),
        (lambda claims: first(claims).update(measure={"metric": "equalised_odds"}), "subgroup: gap"),
        (lambda claims: first(claims).update(measure={"metric": "steps", "where": "ood"}), "steps stands alone"),
        (lambda claims: first(claims).update(measure={"metric": "share_needed"}), "terms of weight 1 .*: 1"),
        (lambda claims: first(claims).update(measure={"metric": "interaction"}), "terms of weight 1 .*: 0"),
    ],
)
def test_a_claims_file_that_cannot_be_used_says_where_and_why(tmp_path: Path, change: Any, message: str) -> None:
    path = changed(tmp_path, change)
    with pytest.raises(UserError, match=message) as raised:
        read_claims(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("content", ["claims: [", "", "- S1", "claims: []"])
def test_a_file_without_claims_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "claims.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=r"claims\.yaml"):
        read_claims(path)


def test_metrics_have_one_name_each() -> None:
    assert len({*ORDINARY, *SPECIAL}) == len(ORDINARY) + len(SPECIAL)
