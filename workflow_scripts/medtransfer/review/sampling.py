"""Which records are checked, and what those that were checked say of all others.

N records, sorted so that neighbours are alike, are cut into k equal parts; a part may begin and end within a record.
One point is drawn uniformly in each part, and the record that it falls into is checked. A record is therefore expected
to be drawn k/N times, wherever it stands.

Let D of the N records be wrong, and q_i be the share of part i that lies in them: the q_i sum up to kD/N. No wrong
record is drawn with probability (1 - q_1) ... (1 - q_k), which by the inequality of arithmetic and geometric means is
at most (1 - D/N)^k, whichever records are wrong: at its worst this is a sample of k independent draws, and it is better
where wrong records stand together. The number of wrong draws is Poisson-binomial with mean kD/N. By Hoeffding (1956,
Annals of Mathematical Statistics 27: 713) P(at most x) <= P(Binomial(k, D/N) at most x) where x <= kD/N - 1, so that
the bound of Clopper & Pearson (1934, Biometrika 26: 404) holds; at 95 % it is that far above every x but k - 1, which
is nearly all wrong.
"""

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from scipy.stats import beta

CONFIDENCE = 0.95
WORTH_KNOWING = 0.05
"""The share of wrong records for which a reader is told how many draws would exclude it."""

Record = TypeVar("Record")


def draw(records: Sequence[Record], k: int, seed: int) -> list[Record]:
    """Draw k of N sorted records, one in each of k equal parts; all of them where k is N or more.

    Returns:
        The records in their order. One that lies in two parts may be drawn twice, and then stands there twice.
    """
    if k >= len(records):
        return list(records)
    generator = np.random.default_rng([seed, k])
    points = (np.arange(k) + generator.random(k)) * len(records) / k
    # Rounding may carry the last point to the very end.
    return [records[min(int(point), len(records) - 1)] for point in points]


def upper_bound(wrong: int, drawn: int, records: int, confidence: float = CONFIDENCE) -> float:
    """The largest share of wrong records that `wrong` of `drawn` ones are compatible with (Clopper & Pearson 1934).

    The bound is one-sided: in at least `confidence` of all samples the share is not above it. Where all records were
    drawn it is their share itself, and 1 where none was.
    """
    if drawn >= records > 0:
        return wrong / records
    return 1.0 if wrong >= drawn else float(beta.ppf(confidence, wrong + 1, drawn - wrong))


def draws_needed(share: float, confidence: float = CONFIDENCE) -> int:
    """How many draws without a wrong one exclude that `share` of the records are wrong: (1 - share)^k <= 1 - c."""
    return math.ceil(math.log(1 - confidence) / math.log(1 - share))


def statement(wrong: int, drawn: int, records: int, confidence: float = CONFIDENCE) -> str:
    """What such a sample can and cannot say, in words."""
    found = f"Of {drawn} draws from {records} records {wrong} were wrong or could not be confirmed."
    if drawn >= records:
        return f"{found} All were drawn: this is no estimate."
    share, needed = upper_bound(wrong, drawn, records, confidence), draws_needed(WORTH_KNOWING, confidence)
    return (
        f"{found} At {confidence:.0%} confidence at most {share:.1%} of all records are; of a single one that was not "
        f"drawn nothing is said. If a tenth of all records is wrong, {drawn} draws find that out with a probability of "
        f"at least {1 - 0.9**drawn:.0%}. To bound the share at {WORTH_KNOWING:.0%} takes {min(records, needed)} draws "
        "without anything found."
    )
