"""PadChest: about 160,900 chest films of some 67,000 patients of one Spanish hospital (Bustos et al. 2020).

Expected: PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv (or .gz) and the 16-bit PNG images in any subfolder, as
in 0/ to 54/. From https://bimcv.cipf.es/bimcv-projects/padchest after its form.

The column Labels is a list of terms. A finding here is 1 when one of its terms stands in the list as a whole, whatever
the case, and 0 when the row has labels and none of them. Its terms are the PadChest term and what lies beneath it in
PadChest's own tree of findings; mass is that of the lung alone, tuberculosis without its sequelae, and lung_lesion,
which PadChest lacks, is a nodule or a mass. There is no term for lung opacity, and so no such label. Rejected are rows
without labels, those labelled "exclude" or "suboptimal study", and those that say nothing but "unchanged", as the film
that they compare with is not named. Beside other labels "unchanged" changes nothing.

27 % of the reports were labelled by physicians, the others by a network: with `labelled_by: physician` the test split
keeps the films of the first alone. Children stay unless `pediatric: drop`. There is no official split: this one is by
hash of the patient. Age is the year of the study less that of birth. Lateral and costal films are kept, told by view.
"""

import ast
from pathlib import Path

import numpy as np
import pandas as pd

from medtransfer.datasets._raw import RawFolder, read_table, stem
from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets._tidy import OLDEST, tidy_sex
from medtransfer.datasets.base import Reading, assemble

NODULES = {"nodule", "multiple nodules"}
MASSES = {"mass", "pulmonary mass"}
FINDINGS = {
    "no_finding": {"normal"},
    "atelectasis": {
        *("atelectasis", "total atelectasis", "lobar atelectasis", "segmental atelectasis", "laminar atelectasis"),
        *("round atelectasis", "atelectasis basal"),
    },
    "cardiomegaly": {"cardiomegaly"},
    "consolidation": {"consolidation", "air bronchogram"},
    "edema": {"pulmonary edema"},
    "effusion": {
        *("pleural effusion", "loculated pleural effusion", "loculated fissural effusion", "hydropneumothorax"),
        *("empyema", "hemothorax"),
    },
    "emphysema": {"emphysema"},
    "fibrosis": {"pulmonary fibrosis", "post radiotherapy changes", "asbestosis signs"},
    "fracture": {
        *("fracture", "clavicle fracture", "humeral fracture", "vertebral fracture", "rib fracture"),
        "callus rib fracture",
    },
    "hernia": {"hiatal hernia"},
    "infiltration": {
        *("infiltrates", "interstitial pattern", "ground glass pattern", "reticular interstitial pattern"),
        *("reticulonodular interstitial pattern", "miliary opacities", "alveolar pattern", "consolidation"),
        "air bronchogram",
    },
    "lung_lesion": NODULES | MASSES,
    "mass": MASSES,
    "nodule": NODULES,
    "pleural_thickening": {"pleural thickening", "apical pleural thickening", "calcified pleural thickening"},
    "pneumonia": {"pneumonia", "atypical pneumonia"},
    "pneumothorax": {"pneumothorax", "hydropneumothorax"},
    "tuberculosis": {"tuberculosis"},
}
LABELS = tuple(FINDINGS)
CHANNELS = 1
POLICIES = {"labelled_by": ("all", "physician"), "pediatric": ("keep", "drop")}
SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
VIEWS = {"pa": "PA", "ap": "AP", "ap_horizontal": "AP", "l": "lateral", "costal": "costal"}
UNUSABLE = {"exclude", "suboptimal study"}
# The files of the release that cannot be read (torchxrayvision leaves out the same).
BROKEN = {
    "216840111366964012283393834152009033102258826_00-059-087",
    "216840111366964012339356563862009072111404053_00-043-192",
    "216840111366964012373310883942009117084022290_00-064-025",
    "216840111366964012373310883942009152114636712_00-102-045",
    "216840111366964012373310883942009170084120009_00-097-074",
    "216840111366964012487858717522009280135853083_00-075-001",
    "216840111366964012558082906712009327122220177_00-102-064",
    "216840111366964012819207061112010281134410801_00-129-131",
    "216840111366964012819207061112010306085429121_04-020-102",
    "216840111366964012819207061112010307142602253_04-014-084",
    "216840111366964012819207061112010315104455352_04-024-184",
    "216840111366964012959786098432011033083840143_00-176-115",
    "216840111366964012989926673512011074122523403_00-163-058",
    "216840111366964012989926673512011083134050913_00-168-009",
    "216840111366964012989926673512011151082430686_00-157-045",
    "216840111366964013076187734852011291090445391_00-196-188",
    "216840111366964013590140476722013043111952381_02-065-198",
    "216840111366964013590140476722013058110301622_02-056-111",
    "216840111366964013686042548532013208193054515_02-026-007",
    "216840111366964013829543166512013353113303615_02-092-190",
    "216840111366964013962490064942014134093945580_01-178-104",
}


def read(raw: Path, *, labelled_by: str = "all", pediatric: str = "keep") -> Reading:
    """Read PadChest: one row per film, every finding 1 or 0.

    `labelled_by`: who labelled the films of the test split. `pediatric`: whether films of children are kept.
    """
    folder = RawFolder(raw, __doc__)
    path = folder.table("PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv")
    columns = {"file": "ImageID", "study_id": "StudyID", "patient_id": "PatientID", "terms": "Labels"}
    described = {"sex": "PatientSex_DICOM", "birth": "PatientBirth", "date": "StudyDate_DICOM", "view": "Projection"}
    rows = read_table(path, columns | described | {"method": "MethodLabel", "pediatric": "Pediatric"})
    image_id = rows["file"].map(stem)
    terms = rows["terms"].map(_terms)
    split = split_by_hash(rows["patient_id"], SHARES)
    by_network = (split == "test") & (rows["method"].str.casefold() != "physician")
    child = ~rows["pediatric"].str.casefold().isin(["no", ""])
    unusable = terms.map(lambda found: ", ".join(sorted(UNUSABLE & found)))
    age = pd.to_numeric(rows["date"].str[:4], errors="coerce") - pd.to_numeric(rows["birth"], errors="coerce")
    listing = rows.assign(
        image_id=image_id,
        study_id=rows["study_id"].mask(rows["study_id"] == "", image_id),
        reason=np.select(
            [
                image_id.isin(BROKEN),
                rows["patient_id"] == "",
                terms.map(len) == 0,
                unusable != "",
                terms.map(lambda found: found == {"unchanged"}),
                child & (pediatric == "drop"),
                by_network & (labelled_by == "physician"),
            ],
            [
                "known to be missing or truncated in the release",
                "no patient id",
                "no labels",
                "labelled " + unusable,
                "labelled unchanged and nothing else",
                "a child's film",
                "a test film that no physician labelled",
            ],
            default="",
        ),
        sex=tidy_sex(rows["sex"]),
        age=age.where(age.between(0, OLDEST)),
        view=rows["view"].str.casefold().map(VIEWS).astype("str"),
        split=split,
        **{label: terms.map(names.isdisjoint).map({False: 1, True: 0}) for label, names in FINDINGS.items()},
    )
    return assemble(listing, LABELS, folder.images(), path.name)


def _terms(written: str) -> frozenset[str]:
    """The terms of a list in Python's notation, in lower case; none for anything else ("nan", a cell cut off)."""
    try:
        terms = ast.literal_eval(written)
    except (SyntaxError, ValueError):
        return frozenset()
    if not isinstance(terms, list):
        return frozenset()
    return frozenset(str(term).strip().casefold() for term in terms) - {""}
