"""Synthetic raw folders: laid out as the real ones, the same by seed, learnable but not trivial, shifted by site."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medtransfer.errors import UserError
from medtransfer.synthetic import chexpert, isic_2019, nih_cxr14, pad_ufes_20, scenes, skin, vindr_cxr
from medtransfer.synthetic.anatomy import draw_body
from medtransfer.synthetic.chest import frontal
from medtransfer.synthetic.findings import DRAWERS
from medtransfer.synthetic.hospital import Hospital, draw_findings, draw_patient, film
from medtransfer.synthetic.write import DATASETS, write

FINDINGS = ("atelectasis", "cardiomegaly", "consolidation", "edema", "effusion")


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All datasets, small: one folder each."""
    root = tmp_path_factory.mktemp("raw")
    for dataset in DATASETS:
        write(dataset, root / dataset, patients=12 if dataset == "scenes" else 60, size=40, seed=3)
    return root


def unreadable(paths: list[Path]) -> list[Path]:
    """The images among `paths` whose pixels cannot be read, or that are missing."""
    bad = []
    for path in paths:
        try:
            if path.suffix == ".dicom":
                assert pydicom.dcmread(path).pixel_array.size
            else:
                with Image.open(path) as image:
                    image.load()
        except (OSError, AttributeError, ValueError, EOFError):
            bad.append(path)
    return bad


def digest(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("dataset", DATASETS)
def test_bytes_depend_on_the_arguments_alone(dataset: str, tmp_path: Path) -> None:
    patients = 10
    write(dataset, tmp_path / "once", patients, 24, seed=1)
    write(dataset, tmp_path / "again", patients, 24, seed=1)
    write(dataset, tmp_path / "other", patients, 24, seed=2)
    assert digest(tmp_path / "once") == digest(tmp_path / "again")
    assert digest(tmp_path / "once") != digest(tmp_path / "other")


def test_chexpert_layout(raw: Path) -> None:
    folder = raw / "chexpert"
    train = pd.read_csv(folder / "CheXpert-v1.0-small" / "train.csv")
    valid = pd.read_csv(folder / "CheXpert-v1.0-small" / "valid.csv")
    test = pd.read_csv(folder / "CheXpert" / "test_labels.csv")
    header = (
        "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,"
        "Lung Lesion,Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,"
        "Support Devices"
    )
    assert ",".join(train) == ",".join(valid) == header
    assert ",".join(test) == "Path," + header.split("AP/PA,")[1]
    labels = header.split("AP/PA,")[1].split(",")

    assert set(train[labels].stack().dropna()) == {-1.0, 0.0, 1.0} and train[labels].isna().mean().mean() > 0.5
    assert set(np.unique(valid[labels])) == set(np.unique(test[labels])) == {0.0, 1.0}
    assert train["No Finding"].dropna().eq(1).all()
    assert set(train["Sex"]) == {"Male", "Female", "Unknown"}
    assert train.loc[train["Frontal/Lateral"] == "Lateral", "AP/PA"].isna().all()

    numbers = [t["Path"].str.extract(r"patient(\d{5})/study\d/view\d_(?:frontal|lateral)\.jpg") for t in (train, valid)]
    assert numbers[0][0].astype(int).between(1, 64540).all() and numbers[1][0].astype(int).between(64541, 64740).all()
    assert test["Path"].str.match(r"test/patient64(74[1-9]|7[5-9]\d)/study1/view\d_(frontal|lateral)\.jpg").all()

    paths = [folder / p for p in train["Path"]]
    assert unreadable(paths) == paths[-2:] and not paths[-2].exists() and paths[-1].exists()
    assert not unreadable([folder / p for p in valid["Path"]])
    assert not unreadable([folder / "CheXpert-v1.0-small" / p for p in test["Path"]])


def test_nih_layout(raw: Path) -> None:
    folder = raw / "nih_cxr14"
    header = (folder / "Data_Entry_2017_v2020.csv").read_text().splitlines()[0]
    assert header == (
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
        "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
    )
    table = pd.read_csv(folder / "Data_Entry_2017_v2020.csv")
    train = (folder / "train_val_list.txt").read_text().split()
    test = (folder / "test_list.txt").read_text().split()
    assert sorted(train + test) == sorted(table["Image Index"])
    assert not {name[:8] for name in train} & {name[:8] for name in test}
    assert not table["Finding Labels"].str.contains(r"No Finding\||\|No Finding").any()

    paths = [folder / "images_001" / "images" / name for name in table["Image Index"]]
    bad = unreadable(paths)
    assert len(bad) == 2 and bad[-1] == paths[-1] and not bad[0].exists()
    modes = {Image.open(path).mode for path in paths if path.exists()}
    assert modes == {"L", "RGBA"}


def test_vindr_layout(raw: Path) -> None:
    folder = raw / "vindr_cxr"
    train = pd.read_csv(folder / "annotations" / "image_labels_train.csv")
    test = pd.read_csv(folder / "annotations" / "image_labels_test.csv")
    assert list(train)[:2] == ["image_id", "rad_id"] and test.columns[0] == "image_id"
    assert len(train.columns) == 2 + 22 + 6 and len(test.columns) == 1 + 22 + 6
    assert list(train)[-2:] == ["Other diseases", "No finding"] and list(test)[-2:] == ["Other disease", "No finding"]
    readers = train.groupby("image_id")["rad_id"]
    assert (readers.size() == 3).all() and (readers.nunique() == 3).all()
    assert (train.groupby("image_id")["Pleural effusion"].nunique() == 2).any(), "readers never disagree"

    paths = [folder / "train" / f"{name}.dicom" for name in train["image_id"].unique()]
    assert unreadable(paths) == paths[-2:]
    paths = paths[:-2] + [folder / "test" / f"{name}.dicom" for name in test["image_id"]]
    headers = [pydicom.dcmread(path) for path in paths]
    assert {h.PhotometricInterpretation for h in headers} == {"MONOCHROME1", "MONOCHROME2"}
    assert {(h.BitsAllocated, h.BitsStored) for h in headers} == {(16, 12)}
    assert max(int(h.pixel_array.max()) for h in headers) < 4096
    assert 0 < sum("PatientAge" not in h for h in headers) < len(headers)
    assert {h.PatientSex for h in headers} == {"F", "M", ""}
    assert len({h.SOPInstanceUID for h in headers}) == len(headers)


def test_vindr_inverted_films_are_inverted(raw: Path) -> None:
    """Read as the header says, the corners of every film (air) are darker than its centre (spine)."""
    for path in (raw / "vindr_cxr" / "test").glob("*.dicom"):
        header = pydicom.dcmread(path)
        pixels = header.pixel_array.astype(float)
        if header.PhotometricInterpretation == "MONOCHROME1":
            pixels = 4095 - pixels
        assert pixels[5:9, :3].mean() < pixels[-12:-6, 18:22].mean()


def test_isic_layout(raw: Path) -> None:
    folder = raw / "isic_2019"
    truth = pd.read_csv(folder / "ISIC_2019_Training_GroundTruth.csv")
    about = pd.read_csv(folder / "ISIC_2019_Training_Metadata.csv")
    assert ",".join(truth) == "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK"
    assert ",".join(about) == "image,age_approx,anatom_site_general,lesion_id,sex"
    assert truth["image"].equals(about["image"]) and truth["image"].is_unique
    chosen = truth.drop(columns="image").sum(axis=1)
    assert (chosen.drop(chosen.index[-3]) == 1).all() and chosen.iloc[-3] == 0 and (truth["UNK"] == 0).all()
    assert set(about["lesion_id"].dropna().str.split("_").str[0]) == {"HAM", "BCN", "MSK4"}
    assert about["lesion_id"].isna().any() and about["lesion_id"].dropna().duplicated().any()
    assert (about["age_approx"].dropna() % 5 == 0).all()
    paths = [folder / "ISIC_2019_Training_Input" / f"{name}.jpg" for name in truth["image"]]
    assert unreadable(paths) == paths[-2:]
    assert truth["image"].str.fullmatch(r"ISIC_\d{7}(_downsampled)?").all()


def test_pad_layout(raw: Path) -> None:
    folder = raw / "pad_ufes_20"
    table = pd.read_csv(folder / "metadata.csv")
    assert ",".join(table) == (
        "patient_id,lesion_id,smoke,drink,background_father,background_mother,age,pesticide,gender,"
        "skin_cancer_history,cancer_history,has_piped_water,has_sewage_system,fitspatrick,region,diameter_1,"
        "diameter_2,diagnostic,itch,grew,hurt,changed,bleed,elevation,img_id,biopsed"
    )
    assert table["fitspatrick"].dropna().isin([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).all()
    assert 0 < table["fitspatrick"].isna().mean() < 0.5
    assert set(table["diagnostic"]) <= {"BCC", "ACK", "NEV", "SEK", "SCC", "MEL"}
    assert (table["img_id"].str.split("_").str[:2].str.join("_") == table["patient_id"]).all()
    assert table.loc[table["diagnostic"].isin(["BCC", "SCC", "MEL"]), "biopsed"].all()
    paths = [folder / "images" / "imgs_part_1" / name for name in table["img_id"]]
    assert unreadable(paths) == paths[-2:]


def test_scenes_layout(raw: Path) -> None:
    for split, expected in (("train", 11), ("val", 1)):
        classes = sorted((raw / "scenes" / split).iterdir())
        assert [c.name for c in classes] == sorted(scenes.CLASSES) and len(classes) == 40
        assert {len(list(c.glob("*.png"))) for c in classes} == {expected}
    assert len(unreadable(sorted((raw / "scenes").rglob("*.png")))) == 1


def test_every_class_of_isic_has_its_share() -> None:
    counts = pd.Series(isic_2019._diagnoses(800, seed=0)).value_counts()
    assert set(counts.index) == set(isic_2019.CLASSES) and counts.sum() == 800 and counts.min() >= 25


@pytest.mark.parametrize("finding", sorted({*DRAWERS, "cardiomegaly", "enlarged_cardiomediastinum", "support_devices"}))
def test_every_finding_shows_and_shows_more_when_severe(finding: str) -> None:
    """The change against the same chest without the finding grows with severity."""
    rng = np.random.default_rng(0)
    change = np.zeros(2)
    for seed in range(8):
        person = draw_body("male", 60, rng)
        films = [
            frontal(person, found, "PA", 48, np.random.default_rng(seed))
            for found in ({}, {finding: 0.3}, {finding: 1.0})
        ]
        # Textures drawn after the finding differ; what matters here is how much air is taken or given.
        change += [np.abs(f - films[0]).mean() for f in films[1:]]
    assert 0 < change[0] < change[1]


def examine(hospital: Hospital, n: int, seed: int) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Upright and supine films of n patients at 48 pixels, their findings and their patients."""
    images, labels, patients = [], [], []
    for i in range(n):
        rng = np.random.default_rng([seed, i])
        patient = draw_patient(hospital, rng)
        view = "AP" if rng.random() < hospital.supine else "PA"
        severity = draw_findings(hospital, patient, view, rng)
        images.append(film(hospital, patient, severity, view, 48, rng))
        labels.append([finding in severity for finding in FINDINGS])
        patients.append((patient.body.sex, patient.body.age))
    return np.stack(images), np.array(labels), pd.DataFrame(patients, columns=["sex", "age"])


def features(images: np.ndarray) -> np.ndarray:
    """Mean of each 2 x 2 block."""
    n, height, width = images.shape[:3]
    return images.reshape(n, height // 2, 2, width // 2, 2, -1).mean((2, 4)).reshape(n, -1)


def linear_auc(train: np.ndarray, target: np.ndarray, test: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """AUC per column of a regularised linear model on coarse pixels."""
    scores = []
    for k in range(target.shape[1]):
        model = make_pipeline(StandardScaler(), PCA(60, random_state=0), LogisticRegression(C=0.01, max_iter=500))
        model.fit(features(train), target[:, k])
        scores.append(roc_auc_score(truth[:, k], model.decision_function(features(test))))
    return np.array(scores)


def test_chest_findings_are_learnable_but_not_trivial_and_sites_differ() -> None:
    images, labels, patients = examine(chexpert.HOSPITAL, 900, seed=0)
    inside = linear_auc(images[:600], labels[:600], images[600:], labels[600:])
    assert 0.62 < inside.mean() < 0.88 and inside.max() < 0.97

    prevalence = labels.mean(0)
    for hospital in (nih_cxr14.HOSPITAL, vindr_cxr.HOSPITAL):
        other, other_labels, _ = examine(hospital, 300, seed=1)
        assert other_labels.mean() < 0.75 * prevalence.mean(), "the case mix should be milder elsewhere"
        site = np.r_[np.zeros(300), np.ones(300)][:, None]
        halves = np.r_[0:150, 300:450], np.r_[150:300, 450:600]
        both = np.concatenate([images[:300], other])
        assert linear_auc(both[halves[0]], site[halves[0]], both[halves[1]], site[halves[1]])[0] > 0.9

    cardiomegaly, effusion = labels[:, 1], labels[:, 4]
    women, old = patients["sex"].eq("female"), patients["age"].gt(60)
    assert cardiomegaly[women].mean() > cardiomegaly[~women].mean()
    assert cardiomegaly[old].mean() > cardiomegaly[~old].mean()
    assert effusion[women].mean() < effusion[~women].mean()


def test_skin_classes_are_learnable_but_not_trivial_and_phones_differ_from_dermoscopes() -> None:
    names = list(skin.LOOKS)
    cameras = [isic_2019.CAMERAS["HAM"], pad_ufes_20.CAMERA]
    shots: list[list[np.ndarray]] = [[], []]
    for i in range(480):
        rng = np.random.default_rng([5, i])
        lesion = skin.draw_lesion(names[i % 8], int(rng.integers(1, 5)), rng)
        for camera, taken in zip(cameras, shots, strict=True):
            taken.append(skin.photograph(lesion, camera, 32, rng))
    dermoscope, phone = (np.stack(taken) for taken in shots)
    target = np.eye(8)[np.arange(480) % 8]
    inside = linear_auc(dermoscope[:320], target[:320], dermoscope[320:], target[320:])
    outside = linear_auc(dermoscope[:320], target[:320], phone[320:], target[320:])
    assert 0.65 < inside.mean() < 0.93
    assert outside.mean() < inside.mean() - 0.03


def test_pigment_shows_less_on_dark_skin() -> None:
    """Beer-Lambert on a darker ground: the same naevi have less contrast in reflected light."""
    camera = isic_2019.CAMERAS["HAM"]
    contrast = []
    for skin_type in (1, 6):
        images = []
        for i in range(30):
            lesion = skin.draw_lesion("nv", skin_type, np.random.default_rng(i))
            images.append(skin.photograph(lesion, camera, 32, np.random.default_rng(i)))
        shots = np.stack(images).mean((0, 3))
        contrast.append(shots[:4].mean() - shots[13:19, 13:19].mean())
    assert contrast[0] > 1.3 * contrast[1] > 0


def test_scenes_of_one_class_share_shape_and_surface_but_not_pixels() -> None:
    plain, striped = (
        np.stack([scenes.scene(name, 32, np.random.default_rng(i)) for i in range(20)])
        for name in ("plain_disc", "striped_disc")
    )
    roughness = [np.abs(np.diff(images, axis=2)).mean() for images in (plain, striped)]
    assert roughness[1] > roughness[0]
    assert np.abs(plain[0] - plain[1]).mean() > 0.05


def test_errors_name_what_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"'mimic'.*chexpert, isic_2019, nih_cxr14, pad_ufes_20, rsna_mammo, scenes, vindr_cxr"
    ):
        write("mimic", tmp_path / "a", 20, 32, 0)
    with pytest.raises(UserError, match="patients is 3; at least 10"):
        write("chexpert", tmp_path / "a", 3, 32, 0)
    with pytest.raises(UserError, match="24 to 512"):
        write("chexpert", tmp_path / "a", 20, 8, 0)
    with pytest.raises(UserError, match="seed is -1"):
        write("chexpert", tmp_path / "a", 20, 32, -1)
    assert not (tmp_path / "a").exists()


def test_real_files_are_never_overwritten(tmp_path: Path) -> None:
    real = tmp_path / "chexpert" / "CheXpert-v1.0-small" / "train.csv"
    real.parent.mkdir(parents=True)
    real.write_text("the real table")
    with pytest.raises(UserError, match="holds files already"):
        write("chexpert", tmp_path / "chexpert", 20, 32, 0)
    assert real.read_text() == "the real table"


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(raw: Path, patients: int, size: int, seed: int) -> None:
        (raw / "half.png").write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(scenes, "write", fail)
    with pytest.raises(OSError, match="disk full"):
        write("scenes", tmp_path / "scenes", 20, 32, 0)
    assert list(tmp_path.iterdir()) == []


def test_empty_folders_are_filled(tmp_path: Path) -> None:
    """A workflow engine makes the folders of declared outputs beforehand."""
    (tmp_path / "nih_cxr14" / "images_001").mkdir(parents=True)
    write("nih_cxr14", tmp_path / "nih_cxr14", 10, 24, 0)
    assert (tmp_path / "nih_cxr14" / "Data_Entry_2017_v2020.csv").exists()
