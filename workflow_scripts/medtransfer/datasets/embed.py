"""EMBED, the open fifth: 480,323 mammograms of 22,382 women of diverse race, with pathology (Jeong et al. 2023).

Expected: tables/EMBED_OpenData_clinical.csv, tables/EMBED_OpenData_metadata_reduced.csv (or the full
EMBED_OpenData_metadata.csv) and the DICOM files images/cohort_1/<patient>/<exam>/<file>.dcm, or copies in another
format. From https://github.com/Emory-HITI/EMBED_Open_Data (form, then AWS).

The clinical table has a row for each finding, the other a row for each file. A finding counts for the images of its
exam and side; without side, or bilateral, for both breasts. Its pathology counts for the side of the specimen (bside)
where that is given. Where an exam called bilateral has findings on one side only, the other breast is negative, as the
publisher's tools take it; another breast without finding is rejected.

Policies: `cancer: pathology` is 1 for cancer of the breast, invasive or not (path_severity 0 and 1), and 0 for every
other pathology (2 to 6: high-risk, borderline, benign, normal, cancer of another origin); a finding without pathology
is 0 when assessed negative or benign (N, B), otherwise missing, as in recalled screens whose work-up was entered
elsewhere. `cancer: assessment` is the radiologist's: BI-RADS 4, 5, 6 (S, M, K) against 1, 2, 3 (N, B, P); incomplete
(A) is missing. A breast is the worst of its findings, and missing when one of them is and none is cancer. `images: 2D`
leaves out images synthesised from tomosynthesis. Views other than CC and MLO and magnified ones are rejected. The split
is by hash of the patient.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from medtransfer.datasets._breast import STANDARD_VIEWS, tidy_density, tidy_side, worst_finding
from medtransfer.datasets._raw import RawFolder, read_table, stem
from medtransfer.datasets._splits import split_by_hash
from medtransfer.datasets._tidy import tidy_age, tidy_sex
from medtransfer.datasets.base import Reading, assemble

LABELS = ("cancer",)
CHANNELS = 1
PREPARATION = "breast"
POLICIES = {"cancer": ("pathology", "assessment"), "images": ("2D", "all")}
SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
FILES = {
    "patient_id": "empi_anon",
    "exam": "acc_anon",
    "file": "anon_dicom_path",
    "kind": "FinalImageType",
    "laterality": "ImageLateralityFinal",
    "view": "ViewPosition",
    "magnified": "spot_mag",
}
FINDINGS = {
    "exam": "acc_anon",
    "side": "side",
    "exam_name": "desc",
    "assessment": "asses",
    "severity": "path_severity",
    "density": "tissueden",
    "race": "RACE_DESC",
}
OPTIONAL = {"specimen": "bside", "age": "age_at_study", "sex": "GENDER_DESC"}
KINDS = {"2D": ("2d",), "all": ("2d", "cview")}
ASSESSMENTS = {"S": 1, "M": 1, "K": 1, "N": 0, "B": 0, "P": 0}
NOTHING_FOUND = {"N": 0, "B": 0}
SEVERITIES = {0: 1, 1: 1, 2: 0, 3: 0, 4: 0, 5: 0, 6: 0}
NO_RACE = ("", "unknown, unavailable or unreported", "not recorded", "patient declines")


def read(raw: Path, *, cancer: str = "pathology", images: str = "2D") -> Reading:
    """Read EMBED: one row per image, the label of its breast in its exam."""
    folder = RawFolder(raw, __doc__)
    path = folder.table("EMBED_OpenData_metadata_reduced.csv", "EMBED_OpenData_metadata.csv")
    clinical = folder.table("EMBED_OpenData_clinical.csv", "EMBED_OpenData_clinical_reduced.csv")
    findings = read_table(clinical, FINDINGS, OPTIONAL)
    findings["exam"] = findings["exam"].str.removesuffix(".0")
    rows = read_table(path, FILES)
    exam = rows["exam"].str.removesuffix(".0")
    patient_id = rows["patient_id"].str.removesuffix(".0")
    laterality = tidy_side(rows["laterality"])
    view = rows["view"].str.upper()
    breast = exam + " " + laterality.fillna("")
    breasts = _breasts(findings, cancer)
    kind = rows["kind"].str.casefold().str.replace("-", "")
    demographics = _demographics(findings).reindex(exam).reset_index(drop=True)
    listing = rows.assign(
        image_id=rows["file"].str.split("/").str[-1].map(stem),
        patient_id=patient_id,
        study_id=exam,
        reason=np.select(
            [
                patient_id == "",
                ~kind.isin(KINDS[images]),
                ~view.isin(STANDARD_VIEWS),
                pd.to_numeric(rows["magnified"], errors="coerce") == 1,
                laterality.isna(),
                ~breast.isin(breasts.index),
            ],
            [
                "no patient id",
                "image type '" + rows["kind"] + "'",
                "view '" + rows["view"] + "', not CC or MLO",
                "magnified or spot view",
                "no side",
                f"no row for this breast of this exam in {clinical.name}",
            ],
            default="",
        ),
        cancer=breast.map(breasts),
        laterality=laterality,
        view=view,
        split=split_by_hash(patient_id, SHARES),
        **demographics,
    )
    return assemble(listing, LABELS, folder.images(depth=3), path.name)


def _breasts(findings: pd.DataFrame, cancer: str) -> pd.Series:
    """The label by "exam side", for every breast that the findings of an exam speak of or imply."""
    side, specimen = findings["side"].str.upper(), findings["specimen"].str.upper()
    severity = pd.to_numeric(findings["severity"], errors="coerce").map(SEVERITIES)
    assessment = findings["assessment"].str.upper()
    bilateral = findings["exam"][findings["exam_name"].str.contains("bilat", case=False)].drop_duplicates()
    parts = []
    for here, other in (("L", "R"), ("R", "L")):
        concerned = side != other
        if cancer == "pathology":
            proven = severity.where(specimen.where(specimen.isin(["L", "R", "B"]), side) != other)
            label = proven.fillna(assessment.map(NOTHING_FOUND))
            concerned |= proven.notna()
        else:
            label = assessment.map(ASSESSMENTS)
        stated = pd.DataFrame({"exam": findings["exam"], "label": label})[concerned]
        implied = pd.DataFrame({"exam": bilateral[~bilateral.isin(stated["exam"])], "label": 0})
        parts.append(pd.concat([stated, implied]).assign(side=here))
    breasts = pd.concat(parts, ignore_index=True)
    return worst_finding(breasts["label"], breasts["exam"] + " " + breasts["side"])


def _demographics(findings: pd.DataFrame) -> pd.DataFrame:
    """Race, density, age and sex by exam, as its first row has them."""
    rows = findings.drop_duplicates("exam").set_index("exam")
    race = rows["race"].str.replace(r"\s+", " ", regex=True)
    return pd.DataFrame(
        {
            "race": race.mask(race.str.casefold().isin(NO_RACE)),
            "density": tidy_density(rows["density"]),
            "age": tidy_age(rows["age"]),
            "sex": tidy_sex(rows["sex"]),
        }
    )
