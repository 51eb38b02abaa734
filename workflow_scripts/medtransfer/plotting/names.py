"""How things are called in figures and tables."""

from medtransfer.config import NO_UPSTREAM
from medtransfer.metrics import calibration, scores
from medtransfer.metrics.evaluate import SCALED
from medtransfer.results import Study

METRICS = scores.METRICS | {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "underdiagnosis": "under-diagnosis rate",
    "equalised_odds": "equalised odds difference",
    "ece": "ECE",
    "ece_debiased": "debiased ECE",
    "brier": "Brier score",
    "brier_reliability": "Brier reliability",
    "brier_resolution": "Brier resolution",
    "brier_uncertainty": "Brier uncertainty",
    "nll": "negative log-likelihood (nats)",
    "aurc": "AURC",
    "temperature": "temperature",
    "threshold": "threshold",
}
METRICS |= {f"{metric}{SCALED}": f"{METRICS[metric]}, scaled" for metric in calibration.METRICS}


def title(name: str, study: Study) -> str:
    """The title of a cohort or upstream: the study's if it gives one, else the name itself."""
    known = {NO_UPSTREAM: "nothing (random weights)", **study["titles"]}
    return known.get(name, name)


def parameters(count: int) -> str:
    """A parameter count in millions: 41,000 is `0.041 M`, 928,340,224 is `928 M`."""
    millions = count / 1e6
    return f"{millions:.0f} M" if millions >= 10 else f"{millions:.2g} M"


def method(confidence: float) -> str:
    """How a mean over seeds and its interval come about, in a sentence."""
    return f"Means over seeds, {100 * confidence:g} % bootstrap intervals over patients and seeds."
