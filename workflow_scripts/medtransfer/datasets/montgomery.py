"""Montgomery County chest films: 138 PA films, 58 with tuberculosis (Jaeger et al. 2014).

Expected: the films CXR_png/MCUCXR_0001_0.png to MCUCXR_0387_1.png in any subfolder, or DICOM files of these names;
optional ClinicalReadings/MCUCXR_0001_0.txt and so on. From the National Library of Medicine, https://lhncbc.nlm.nih.gov,
or https://www.kaggle.com/datasets/kmader/pulmonary-chest-xray-abnormalities.

The last digit of a name is the label. Each film stands for a patient; the split is by hash of the patient. Sex and age
come from the clinical readings ("Patient's Sex: F", "Patient's Age: 027Y"). The lung masks, in ManualMask/ under the
same names, are left out. Prevalence and look differ from Shenzhen: evaluate each by itself.
"""

from pathlib import Path

from medtransfer.datasets._raw import RawFolder
from medtransfer.datasets._tuberculosis import CHANNELS, LABELS, read_set
from medtransfer.datasets.base import Reading

__all__ = ["CHANNELS", "LABELS", "read"]


def read(raw: Path) -> Reading:
    """Read the Montgomery set: one row per film, tuberculosis 1 or 0."""
    return read_set(RawFolder(raw, __doc__), prefix="MCUCXR", head=2)
