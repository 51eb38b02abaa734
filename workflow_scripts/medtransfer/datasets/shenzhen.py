"""Shenzhen No. 3 Hospital chest films: 662 PA films, 336 with tuberculosis (Jaeger et al. 2014).

Expected: the films CXR_png/CHNCXR_0001_0.png to CHNCXR_0662_1.png in any subfolder; optional
ClinicalReadings/CHNCXR_0001_0.txt and so on. From the National Library of Medicine, https://lhncbc.nlm.nih.gov, or
https://www.kaggle.com/datasets/kmader/pulmonary-chest-xray-abnormalities.

The last digit of a name is the label. Each film stands for a patient; the split is by hash of the patient. Sex and age
come from the first line of the clinical readings ("male 45yrs", "female 64days"), which is not always in that form.
Lung masks, drawn later by others, are left out. Prevalence and look differ from Montgomery: evaluate each by itself.
"""

from pathlib import Path

from medtransfer.datasets._raw import RawFolder
from medtransfer.datasets._tuberculosis import CHANNELS, LABELS, read_set
from medtransfer.datasets.base import Reading

__all__ = ["CHANNELS", "LABELS", "read"]


def read(raw: Path) -> Reading:
    """Read the Shenzhen set: one row per film, tuberculosis 1 or 0."""
    return read_set(RawFolder(raw, __doc__), prefix="CHNCXR", head=1)
