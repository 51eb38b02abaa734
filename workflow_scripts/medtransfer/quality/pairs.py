"""Tables of duplicates as one cohort sees them."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

TEXT = {f"{column}_{side}": "str" for column in ("cohort", "dataset", "image_id", "patient_id") for side in "ab"}


def read_pairs(paths: Sequence[Path | str], cohort: str) -> pd.DataFrame:
    """The pairs of several tables of duplicates that a cohort takes part in, each once."""
    tables = [pd.read_csv(path, dtype=TEXT) for path in paths]
    if not tables:
        return pd.DataFrame(columns=[*TEXT, "split_a", "split_b", "kind", "relation", "correlation", "same_patient"])
    pairs = pd.concat(tables, ignore_index=True)
    pairs = pairs[(pairs["cohort_a"] == cohort) | (pairs["cohort_b"] == cohort)]
    # Groups number their cohorts' images each in an order of their own: (a, b) in one may be (b, a) in another.
    ends = [pairs[f"cohort_{side}"] + "/" + pairs[f"image_id_{side}"] for side in "ab"]
    ordered = pd.DataFrame(
        {"low": ends[0].where(ends[0] < ends[1], ends[1]), "high": ends[0].where(ends[0] > ends[1], ends[1])}
    )
    return pairs[~ordered.duplicated()].reset_index(drop=True)


def describe(pairs: pd.DataFrame, cohort: str) -> pd.Series:
    """What kind of duplicate each pair is, in words: whose images, how alike, in which splits."""
    names = {
        "exact": "same pixels",
        "near": "re-encoded, resized, cropped or windowed",
        "shared": "one file in both",
    }
    words = []
    for pair in pairs.to_dict("records"):
        partner = pair["cohort_b"] if pair["cohort_a"] == cohort else pair["cohort_a"]
        within = "one patient" if pair["same_patient"] else "different patient ids"
        whose = within if partner == cohort else f"with cohort {partner}"
        how = names[pair["kind"]] + ("" if pair["relation"] == "same image" else f", {pair['relation']}")
        splits = sorted({pair["split_a"], pair["split_b"]})
        where = f"both in {splits[0]}" if len(splits) == 1 else f"one in {splits[0]}, one in {splits[1]}"
        words.append(f"{whose}; {how}; {where}")
    return pd.Series(words, index=pairs.index, dtype="str")
