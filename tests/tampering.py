"""What a dishonest or careless hand may change in frozen results, and which row of a verification has to name it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

RUN = "chest/r14w16/narrow/pretrained/rule/pct100/seed1"
OTHER = "chest/r14w16/narrow/pretrained/rule/pct100/seed2"


def is_run(table: pd.DataFrame) -> pd.Series:
    return (table["upstream"] == "narrow") & (table["seed"] == 1)


def change(path: Path, how: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    how(pd.read_parquet(path)).to_parquet(path, index=False)


def a_prediction(frozen: Path) -> None:
    def other(table: pd.DataFrame) -> pd.DataFrame:
        at = int(np.flatnonzero(is_run(table))[0])
        logits = table["logits"].tolist()
        logits[at] = logits[at].copy()
        logits[at][17] += np.float32(1e-3)
        return table.assign(logits=logits)

    change(frozen / "predictions" / "chest.parquet", other)


def two_seeds(frozen: Path) -> None:
    def swapped(table: pd.DataFrame) -> pd.DataFrame:
        one, other = (np.flatnonzero((table["upstream"] == "narrow") & (table["seed"] == seed))[0] for seed in (1, 2))
        logits = table["logits"].tolist()
        logits[one], logits[other] = logits[other], logits[one]
        return table.assign(logits=logits)

    change(frozen / "predictions" / "chest.parquet", swapped)


def a_label(frozen: Path) -> None:
    def flipped(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[60, "target_effusion"] = 1 - table.loc[60, "target_effusion"]
        return table

    change(frozen / "predictions" / "chest.images.parquet", flipped)


def a_metric(frozen: Path) -> None:
    def raised(table: pd.DataFrame) -> pd.DataFrame:
        where = is_run(table) & (table["subgroup"] == "female") & (table["split"] == "val")
        where &= (table["label"] == "effusion") & (table["metric"] == "auc")
        table.loc[where, "value"] += np.float32(0.001)
        return table

    change(frozen / "metrics.parquet", raised)


def a_count(frozen: Path) -> None:
    def raised(table: pd.DataFrame) -> pd.DataFrame:
        where = is_run(table) & (table["metric"] == "average_precision") & (table["label"] == "effusion")
        table.loc[where & (table["subgroup_by"] == "all") & (table["cohort"] == "nih_cxr14"), "n_positive"] += 1
        return table

    change(frozen / "metrics.parquet", raised)


def a_metrics_row(frozen: Path) -> None:
    def shorter(table: pd.DataFrame) -> pd.DataFrame:
        return table[~(is_run(table) & (table["metric"] == "temperature"))]

    change(frozen / "metrics.parquet", shorter)


def a_config_value(frozen: Path) -> None:
    content = yaml.safe_load((frozen / "config.yaml").read_text())
    content["upstreams"]["broad"]["steps"] = 101
    (frozen / "config.yaml").write_text(yaml.safe_dump(content))


def in_record(frozen: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    def edited(table: pd.DataFrame) -> pd.DataFrame:
        at = int(np.flatnonzero(is_run(table) & (table["what"] == "run"))[0])
        record = json.loads(table["record"][at])
        edit(record)
        table.loc[at, "record"] = json.dumps(record)
        return table

    change(frozen / "provenance.parquet", edited)


def a_recorded_setting(frozen: Path) -> None:
    in_record(frozen, lambda record: record["hyperparameters"].update(learning_rate=0.0031))


def a_recorded_seed(frozen: Path) -> None:
    in_record(frozen, lambda record: record.update(seed=2))


def a_weight_hash(frozen: Path) -> None:
    in_record(frozen, lambda record: record["inputs"].update(weights=["0" * 64]))


def the_network(frozen: Path) -> None:
    def other(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[(table["what"] == "upstream") & (table["upstream"] == "narrow"), "weights"] = "0" * 64
        return table

    change(frozen / "provenance.parquet", other)


def a_missing_run(frozen: Path) -> None:
    change(frozen / "predictions" / "chest.parquet", lambda table: table[~is_run(table)])


def an_extra_run(frozen: Path) -> None:
    def longer(table: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([table, table[is_run(table)].assign(seed=9)])

    change(frozen / "predictions" / "chest.parquet", longer)


def a_claim(frozen: Path) -> None:
    path = frozen / "claims.csv"
    path.write_text(path.read_text().replace("supported", "contradicted", 1))


@dataclass(frozen=True)
class Tampering:
    """What is changed, in which file, and the row that has to name it."""

    do: Callable[[Path], None]
    file: str
    level: str
    subject: str
    quantity: str
    reason: str = ""


PREDICTIONS, METRICS, PROVENANCE = "predictions/chest.parquet", "metrics.parquet", "provenance.parquet"
TAMPERINGS = [
    Tampering(a_prediction, PREDICTIONS, "predictions", RUN, "digest of frozen predictions", "changed after"),
    Tampering(two_seeds, PREDICTIONS, "predictions", RUN, "digest of frozen predictions", f"recorded of {OTHER}"),
    Tampering(a_label, "predictions/chest.images.parquet", "predictions", RUN, "digest of frozen predictions"),
    Tampering(a_metric, METRICS, "metrics", RUN, "auc of effusion on chexpert, val, sex female"),
    Tampering(a_count, METRICS, "metrics", RUN, "average_precision of effusion on nih_cxr14: n_positive"),
    Tampering(a_metrics_row, METRICS, "metrics", RUN, "temperature on chexpert, val"),
    Tampering(a_config_value, "config.yaml", "config", "config.yaml", "upstreams.broad.steps"),
    Tampering(a_recorded_setting, PROVENANCE, "record", RUN, "hyperparameters.learning_rate"),
    Tampering(a_recorded_seed, PROVENANCE, "record", RUN, "seed"),
    Tampering(a_weight_hash, PROVENANCE, "record", RUN, "weights of narrow/r14w16, frozen"),
    Tampering(the_network, PROVENANCE, "record", RUN, "weights of narrow/r14w16, frozen"),
    Tampering(a_missing_run, PREDICTIONS, "completeness", RUN, "run", "not in frozen predictions/"),
    Tampering(an_extra_run, PREDICTIONS, "completeness", RUN.replace("seed1", "seed9"), "run", "the configuration"),
    Tampering(a_claim, "claims.csv", "claim", "S2/chest/scaled_gain", "verdict and effect"),
]
