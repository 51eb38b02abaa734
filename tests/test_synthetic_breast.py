"""Synthetic mammograms: the RSNA layout with real DICOM of two sites, read back, learnable, harder in dense breasts."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1
from scipy.ndimage import gaussian_filter
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medtransfer.datasets import rsna_mammo as reader
from medtransfer.imaging.decode import decode
from medtransfer.imaging.errors import DecodeError
from medtransfer.imaging.prepare import prepare
from medtransfer.synthetic import breast, rsna_mammo

SIZE = 48
DIGITAL = rsna_mammo.DIGITAL
SITE_2 = rsna_mammo.SITES[1].machines[29]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rsna_mammo")
    rsna_mammo.write(folder, patients=150, size=SIZE, seed=3)
    return folder


@pytest.fixture(scope="module")
def table(raw: Path) -> pd.DataFrame:
    """The raw table, with the path of each row's image."""
    rows = pd.read_csv(raw / "train.csv")
    paths = rows["patient_id"].astype(str) + "/" + rows["image_id"].astype(str) + ".dcm"
    return rows.assign(path="train_images/" + paths)


@pytest.fixture(scope="module")
def headers(raw: Path, table: pd.DataFrame) -> pd.Series:
    """Headers and pixels of all whole files, by their row in the table."""
    return table["path"].iloc[:-2].map(lambda path: pydicom.dcmread(raw / path))


def digest(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_bytes_depend_on_the_arguments_alone(tmp_path: Path) -> None:
    for name, seed in (("once", 1), ("again", 1), ("other", 2)):
        rsna_mammo.write(tmp_path / name, 10, 24, seed)
    assert digest(tmp_path / "once") == digest(tmp_path / "again")
    assert digest(tmp_path / "once") != digest(tmp_path / "other")


def test_more_patients_leave_the_first_ones_as_they_are(tmp_path: Path) -> None:
    for patients in (10, 12):
        rsna_mammo.write(tmp_path / str(patients), patients, 24, seed=1)
    few, many = digest(tmp_path / "10"), digest(tmp_path / "12")
    last = pd.read_csv(tmp_path / "10" / "train.csv")["image_id"].iloc[-1]
    assert {path: many[path] for path in few if path.endswith(".dcm") and str(last) not in path}.items() <= few.items()


def test_table_is_the_published_one(table: pd.DataFrame) -> None:
    assert ",".join(table.drop(columns="path")) == (
        "site_id,patient_id,image_id,laterality,view,age,cancer,biopsy,invasive,BIRADS,implant,density,machine_id,"
        "difficult_negative_case"
    )
    assert set(table["site_id"]) == {1, 2} and table["image_id"].is_unique
    assert table.groupby("patient_id")["site_id"].nunique().eq(1).all()
    first, second = (table[table["site_id"] == site] for site in (1, 2))
    assert second[["BIRADS", "density"]].isna().all(axis=None)
    assert set(first["BIRADS"]) == {0, 1, 2} and set(first["density"]) == set("ABCD")
    assert not set(first["machine_id"]) & set(second["machine_id"])
    assert 0 < table.drop_duplicates("patient_id")["implant"].mean() < 0.12
    assert 0 < table["age"].isna().mean() < 0.06


def test_every_patient_has_both_breasts_in_both_views_and_some_have_more(table: pd.DataFrame) -> None:
    views = table.groupby(["patient_id", "laterality"])["view"].agg(set)
    assert views.map({"CC", "MLO"}.issubset).all()
    assert views.groupby("patient_id").size().eq(2).all()
    assert set(table["view"]) == {"CC", "MLO", "ML", "AT"}
    images = table.groupby("patient_id").size()
    assert 0.05 < images.gt(4).mean() < 0.35 and images.max() <= 6


def test_a_cancer_is_in_one_breast_and_labels_all_its_images(table: pd.DataFrame) -> None:
    breasts = table.groupby(["patient_id", "laterality"])
    assert breasts[["cancer", "biopsy", "invasive", "difficult_negative_case"]].nunique().eq(1).all(axis=None)
    ill = breasts["cancer"].first().groupby("patient_id").sum()
    assert set(ill) == {0, 1} and 0.18 < ill.mean() < 0.36
    cancer, invasive = table["cancer"] == 1, table["invasive"] == 1
    assert table.loc[cancer, "biopsy"].eq(1).all() and not table.loc[cancer, "difficult_negative_case"].any()
    assert cancer[invasive].all() and invasive[cancer].any() and not invasive[cancer].all()
    assert table.loc[~cancer, "biopsy"].any() and table.loc[~cancer, "difficult_negative_case"].any()


def test_older_women_are_at_site_2(table: pd.DataFrame) -> None:
    ages = table.drop_duplicates("patient_id").groupby("site_id")["age"].mean()
    assert ages[2] > ages[1] + 3


def test_files_of_either_site_are_written_in_its_way(table: pd.DataFrame, headers: pd.Series) -> None:
    written = pd.DataFrame(
        [
            (h.file_meta.TransferSyntaxUID, h.PhotometricInterpretation, "WindowCenter" in h, h.Columns / h.Rows)
            for h in headers
        ],
        columns=["syntax", "photometric", "window", "shape"],
    )
    by_site = [written[table["site_id"].iloc[:-2] == site] for site in (1, 2)]
    expected = ((JPEG2000Lossless, "MONOCHROME2", True), (JPEGLosslessSV1, "MONOCHROME1", False))
    for rows, wanted in zip(by_site, expected, strict=True):
        assert set(rows[["syntax", "photometric", "window"]].itertuples(index=False, name=None)) == {wanted}
    assert by_site[0]["shape"].max() < by_site[1]["shape"].min() < 1


def test_headers_say_what_the_table_says(table: pd.DataFrame, headers: pd.Series) -> None:
    for row, header in zip(table.itertuples(), headers, strict=False):
        assert header.Rows == SIZE and (header.BitsAllocated, header.BitsStored, header.HighBit) == (16, 12, 11)
        assert (header.Modality, header.PatientSex) == ("MG", "F") and "PatientName" not in header
        assert header.PatientID == str(row.patient_id)
        assert (header.ImageLaterality, header.ViewPosition) == (row.laterality, row.view)
        assert header.get("PatientAge") == (None if pd.isna(row.age) else f"{int(row.age):03d}Y")
        assert 0 < header.pixel_array.max() < 4096
    assert headers.map(lambda header: header.SOPInstanceUID).is_unique


def test_decoded_breasts_are_bright_at_the_chest_wall_of_their_side(raw: Path, table: pd.DataFrame) -> None:
    """Left breasts hang from the image's left edge; inverted files are bright where others are."""
    for row in table.iloc[:80].itertuples():
        image = decode(raw, row.path, channels=1).astype(float)
        middle = image[SIZE // 3 : -SIZE // 3]
        wall, outside = middle[:, :4].mean(), middle[:, -4:].mean()
        if row.laterality == "R":
            wall, outside = outside, wall
        assert wall > outside + 20


def test_the_side_is_burned_in_away_from_the_breast(raw: Path, table: pd.DataFrame) -> None:
    craniocaudal = table.iloc[:-2].query("view == 'CC'")
    for row in craniocaudal.iloc[:40].itertuples():
        image = decode(raw, row.path, channels=1)
        half = image.shape[1] // 2
        away = image[: SIZE // 3, half:] if row.laterality == "L" else image[: SIZE // 3, :half]
        assert away.max() > 230


@pytest.mark.parametrize(("patients", "site"), [(10, 1), (12, 2)])
def test_the_last_file_is_cut_off_and_the_last_but_one_is_absent(patients: int, site: int, tmp_path: Path) -> None:
    rsna_mammo.write(tmp_path, patients, 24, seed=1)
    rows = pd.read_csv(tmp_path / "train.csv")
    files = [f"train_images/{row.patient_id}/{row.image_id}.dcm" for row in rows.itertuples()]
    assert rows["site_id"].iloc[-1] == site
    assert [file for file in files if not (tmp_path / file).exists()] == files[-2:-1]
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == len(rows), "images but one, and the table"
    with pytest.raises(DecodeError):
        decode(tmp_path, files[-1], channels=1)


def test_the_reader_reads_it(raw: Path, table: pd.DataFrame) -> None:
    """Every row becomes a row of the cohort or a rejection: the absent file and the special views."""
    reading = reader.read(raw, views="standard")
    special = ~table["view"].isin(["CC", "MLO"])
    special.iloc[-2] = True  # the absent file
    expected = table[~special].set_index("path")
    cohort = reading.table.set_index("path")
    assert set(cohort.index) == set(expected.index) and len(reading.rejected) == special.sum()
    expected = expected.loc[cohort.index]
    assert (cohort["cancer"] == expected["cancer"]).all() and (cohort["site"] == expected["site_id"].astype(str)).all()
    assert (cohort["laterality"] == expected["laterality"]).all() and (
        cohort["age"].isna() == expected["age"].isna()
    ).all()
    assert set(cohort["implant"]) == {"yes", "no"} and set(cohort["density"].dropna()) == set("ABCD")
    assert set(cohort["split"]) == {"train", "val", "test"}


def test_the_preparation_turns_breasts_to_one_side_and_removes_the_marker(raw: Path, table: pd.DataFrame) -> None:
    for path in table["path"].iloc[:80]:
        image = prepare(decode(raw, path, channels=1), reader.PREPARATION).astype(float)
        assert image[:, : SIZE // 8].mean() > image[:, -SIZE // 8 :].mean() + 20
        assert image[: SIZE // 4, -SIZE // 8 :].mean() < 60


def blobs(image: np.ndarray) -> list[float]:
    """How strongly spots of several sizes stand out from what is around them, leaving the marker's corner out."""
    image = image.copy()
    image[: len(image) // 4, -len(image) // 4 :] = 0
    inside = gaussian_filter(image, 3) > 0.2
    found = [float(image[inside].mean())]
    for scale in (0.7, 1.2, 2, 3):
        response = np.sort((gaussian_filter(image, scale) - gaussian_filter(image, 2 * scale))[inside])[::-1]
        found += [float(response[rank]) for rank in (0, 5, 20)] + [float(response.std())]
    return found


def detect(machine: breast.Machine, density: float, seed: int, n: int = 360) -> float:
    """AUC of a linear model on blobs: cancers, half of all breasts, among benign findings."""
    features, cancers = [], []
    for i in range(n):
        rng = np.random.default_rng([seed, i])
        woman = replace(breast.draw_woman(58, rng), density=density, implants=False)
        lesions = [breast.draw_benign(rng)] if rng.random() < 0.3 else []
        lesions += [breast.draw_cancer(rng)] if i % 2 else []
        features.append(blobs(breast.mammogram(woman, lesions, "L", "CC", machine, 64, rng)))
        cancers.append(i % 2)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(features[: n // 2], cancers[: n // 2])
    return float(roc_auc_score(cancers[n // 2 :], model.decision_function(features[n // 2 :])))


def test_cancers_are_learnable_but_not_trivial_and_harder_in_dense_breasts() -> None:
    fatty = np.mean([detect(DIGITAL, 0.5, seed) for seed in (0, 1)])
    dense = np.mean([detect(DIGITAL, 3.5, seed) for seed in (0, 1)])
    assert 0.55 < dense < fatty - 0.04 and fatty < 0.95


def test_density_brightens_the_breast() -> None:
    means = []
    for density in (0.5, 1.5, 2.5, 3.5):
        images = []
        for seed in range(12):
            rng = np.random.default_rng(seed)
            woman = replace(breast.draw_woman(58, rng), density=density, implants=False)
            images.append(breast.mammogram(woman, [], "L", "CC", DIGITAL, SIZE, rng))
        means.append(np.mean(images))
    assert means == sorted(means) and means[-1] > 1.2 * means[0]
    assert replace(woman, density=0.0).density_letter == "A" and replace(woman, density=3.99).density_letter == "D"


@pytest.mark.parametrize("size", [24, 80, 512])
@pytest.mark.parametrize("machine", [DIGITAL, SITE_2], ids=["site 1", "site 2"])
def test_images_have_the_machines_shape_and_range(machine: breast.Machine, size: int) -> None:
    rng = np.random.default_rng(0)
    woman = replace(breast.draw_woman(58, rng), implants=True)
    for view in breast.VIEWS:
        for side in rsna_mammo.SIDES:
            image = breast.mammogram(woman, [breast.draw_cancer(rng)], side, view, machine, size, rng)
            assert image.shape == (size, round(machine.width * size))
            assert image.min() >= 0 and image.max() <= 1 and image.std() > 0.1
