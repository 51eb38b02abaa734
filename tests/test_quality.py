"""Duplicated images: copies are found however they were changed, similar images are left alone, leaks are refused."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from medtransfer.datasets import reader
from medtransfer.errors import UserError
from medtransfer.imaging.chunk import Form
from medtransfer.imaging.store import build_store
from medtransfer.quality.duplicates import duplicates
from medtransfer.quality.hashes import BLANK, SIGNS, hash_frequencies, low_frequencies, near_pairs, perceptual_hashes
from medtransfer.quality.leaks import leaks, refuse_leaks
from medtransfer.quality.pixels import RELATIVES
from medtransfer.synthetic.write import write
from tests.conftest import REALDATA

ALL = np.arange


def store_of(dataset: str, raw: Path, size: int, out: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """A cohort with its rows, and its image store."""
    table = reader(dataset).read(raw).table
    form = Form(reader(dataset).CHANNELS, size, "none")
    failures, _ = build_store(raw, table["path"].tolist(), form, out, out.with_suffix(""), workers=1)
    table.insert(0, "row", range(len(table)))
    readable = table[~table["row"].isin([row for row, _ in failures])].reset_index(drop=True)
    return readable.assign(dataset=dataset), np.load(out, mmap_mode="r")


@pytest.fixture(scope="module", params=["vindr_cxr", "chexpert", "isic_2019", "scenes"])
def drawn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, np.ndarray]:
    """A synthetic dataset of a few hundred images, as the demo stores them."""
    folder = tmp_path_factory.mktemp(request.param)
    write(request.param, folder / "raw", patients=15 if request.param == "scenes" else 150, size=80, seed=5)
    return store_of(request.param, folder / "raw", 48, folder / "images.npy")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Thirty synthetic chest films of 160 pixels, uint8."""
    folder = tmp_path_factory.mktemp("films")
    write("vindr_cxr", folder / "raw", patients=30, size=160, seed=2)
    return np.array(store_of("vindr_cxr", folder / "raw", 160, folder / "images.npy")[1])


def cohort_of(n: int, dataset: str = "a", split: str = "train") -> pd.DataFrame:
    names = [f"{dataset}{row}" for row in range(n)]
    return pd.DataFrame(
        {"dataset": dataset, "row": range(n), "image_id": names, "patient_id": names, "split": [split] * n}
    )


def noise(n: int, seed: int = 0, size: int = 64) -> np.ndarray:
    """Images of smooth noise, no two alike."""
    coarse = np.random.default_rng(seed).normal(size=(n, 12, 12))
    smooth = scipy.fft.idctn(coarse, s=(size, size), axes=(1, 2), norm="ortho")
    low, high = smooth.min(axis=(1, 2), keepdims=True), smooth.max(axis=(1, 2), keepdims=True)
    return (255 * (smooth - low) / (high - low)).round().astype(np.uint8)


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("size", [32, 48, 100])
def test_hashes_are_the_signs_of_the_dct_about_its_median(size, colour):
    store = np.random.default_rng(size).integers(0, 256, (70, size, size, 3)[: 4 if colour else 3], dtype=np.uint8)
    rows = np.array([69, 3, 3, 0, *range(64)])
    for hashed, image in zip(perceptual_hashes(store, rows), store[rows], strict=True):
        grey = image @ [0.299, 0.587, 0.114] if colour else image.astype(float)
        frequencies = scipy.fft.dctn(grey)[1:9, 1:9].ravel()
        bits = "".join("1" if value > np.median(frequencies) else "0" for value in frequencies)
        assert int(hashed) == int(bits, 2)


def test_signs_give_the_hashes_of_mirrored_and_negative_images():
    store = noise(20)
    for relation, signs in SIGNS.items():
        expected = perceptual_hashes(np.ascontiguousarray(RELATIVES[relation](store)), ALL(20))
        assert (hash_frequencies(low_frequencies(store, ALL(20)) * signs) == expected).all()


def test_blank_images_are_marked_and_are_copies_of_nothing():
    store = np.concatenate([np.full((3, 64, 64), 255, np.uint8), np.zeros((3, 64, 64), np.uint8), noise(2)])
    store[1, 5, 5] = 254  # one pixel makes no picture
    assert (perceptual_hashes(store, ALL(8)) == BLANK).tolist() == [True] * 6 + [False] * 2
    assert duplicates({"a": cohort_of(8)}, {"a": store}).empty


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(0, 7).map(lambda bits: bits * 0x1111_1111_1111_1111), min_size=1, max_size=150),
    st.integers(0, 40),
    st.integers(0, 99),
)
def test_near_pairs_misses_none_and_invents_none(values, radius, seed):
    hashes = np.array(values, dtype=np.uint64)
    others = np.random.default_rng(seed).permutation(hashes)
    expected = [
        (i, j, (values[i] ^ int(others[j])).bit_count())
        for i in range(len(values))
        for j in range(i + 1, len(values))
        if values[i] != 0 and others[j] != 0 and (values[i] ^ int(others[j])).bit_count() <= radius
    ]
    found = [tuple(pair) for pairs in near_pairs(hashes, others, radius) for pair in pairs.tolist()]
    assert sorted(found) == expected


def test_near_pairs_reaches_across_tiles_and_stays_small():
    hashes = np.random.default_rng(0).integers(1, 2**64, 9000, dtype=np.uint64)
    hashes[8999] = hashes[0] ^ np.uint64(0b111)
    assert [pairs.tolist() for pairs in near_pairs(hashes, hashes, 8)] == [[[0, 8999, 3]]]
    equal = np.full(9000, 5, dtype=np.uint64)
    sizes = [len(pairs) for pairs in near_pairs(equal, equal, 0)]
    assert sum(sizes) == 9000 * 8999 // 2 and max(sizes) <= 64 * 4096


def jpeg(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=50)
    return Image.open(buffer)


def written_upon(image: Image.Image) -> Image.Image:
    copy = image.copy()
    ImageDraw.Draw(copy).text((8, 140), "day 1", fill=255)
    return copy


CHANGES: dict[str, tuple[Callable[[Image.Image], Image.Image], str]] = {
    "re-encoded": (jpeg, "same image"),
    "resized": (lambda image: image.resize((90, 120)), "same image"),
    "brightened": (lambda image: image.point(lambda grey: grey * 0.7 + 60), "same image"),
    "gamma": (lambda image: image.point(lambda grey: 255 * (grey / 255) ** 0.8), "same image"),
    "cropped": (lambda image: image.crop((3, 3, 158, 157)), "same image"),
    "written upon": (written_upon, "same image"),
    "mirrored": (lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "mirrored"),
    "negative": (lambda image: image.point(lambda grey: 255 - grey), "negative"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_are_found_in_another_cohort(change, films):
    alter, relation = CHANGES[change]
    copies = np.stack([np.asarray(alter(Image.fromarray(film)).resize((112, 112))) for film in films])
    cohorts = {"old": cohort_of(len(films)), "new": cohort_of(len(films), "b", "test")}
    found = duplicates(cohorts, {"a": films, "b": copies})
    assert (found["row_a"] == found["row_b"]).all() and (found["cohort_a"] + found["cohort_b"] == "oldnew").all()
    assert len(found) >= 0.85 * len(films)
    assert set(found["kind"]) == {"near"} and set(found["relation"]) == {relation}
    assert found["correlation"].between(0.94, 1).all() and found["distance"].between(0, 8).all()


def test_similar_phantoms_are_no_duplicates(drawn):
    cohort, store = drawn
    assert len(cohort) > 100
    found = duplicates({"drawn": cohort}, {str(cohort["dataset"][0]): store})
    assert found.empty, found[["image_id_a", "image_id_b", "correlation"]].to_string()


def test_each_exact_copy_is_paired_with_the_first():
    store = noise(6)[[0, 1, 2, 0, 0, 5]]
    cohort = cohort_of(6).assign(patient_id=["p", "q", "r", "p", "s", "t"])
    found = duplicates({"a": cohort}, {"a": store})
    assert found[["row_a", "row_b", "kind", "same_patient", "group"]].to_numpy().tolist() == [
        [0, 3, "exact", True, 0],
        [0, 4, "exact", False, 0],
    ]


def test_one_stored_image_in_two_cohorts_counts_where_its_splits_differ():
    cohort = cohort_of(3)
    derived = cohort.assign(split=["train", "test", "val"])
    found = duplicates({"a": cohort, "derived": derived}, {"a": noise(3)})
    assert found[["image_id_a", "image_id_b", "kind"]].to_numpy().tolist() == [
        ["a1", "a1", "shared"],
        ["a2", "a2", "shared"],
    ]
    assert leaks(found, "a", ["derived"])["image_id"].tolist() == ["a1"]


def test_leaks_are_training_images_and_never_test_images():
    store = np.stack([*noise(4), *noise(2), noise(1)[0]])  # 4 and 6 copy 0, 5 copies 1
    train = cohort_of(4).assign(split=["train", "train", "val", "test"])
    tested = pd.DataFrame(
        {
            "dataset": "b",
            "row": range(3),
            "image_id": list("xyz"),
            "patient_id": "p",
            "split": ["test", "train", "test"],
        }
    )
    found = duplicates({"a": train, "b": tested}, {"a": store[:4], "b": store[4:]})
    assert len(found) == 3
    leaked = leaks(found, "a", ["a", "b"])
    assert leaked.to_dict("records") == [
        {"dataset": "a", "image_id": "a0", "reason": "duplicate of b x, b z, in the test split"}
    ]
    assert leaks(found, "b", ["a"]).empty and leaks(found, "a", ["a"]).empty
    assert leaks(found.iloc[:0], "a", ["a", "b"]).empty


def test_leaks_go_through_a_third_image():
    store = noise(1)[[0, 0, 0]]
    found = duplicates({"a": cohort_of(3).assign(split=["val", "train", "test"])}, {"a": store})
    assert leaks(found, "a", ["a"])["image_id"].tolist() == ["a1"]


def test_leaks_are_refused_with_the_line_that_settles_it():
    none = pd.DataFrame({"dataset": [], "image_id": [], "reason": []})
    refuse_leaks(none, "chest", "leaks.csv")
    some = pd.DataFrame({"dataset": "nih", "image_id": [f"i{n}" for n in range(7)], "reason": "duplicate of x"})
    with pytest.raises(UserError) as caught:
        refuse_leaks(some, "chest", "results/leaks.csv")
    message = str(caught.value)
    assert "Task chest: 7 training images" in message and "results/leaks.csv" in message
    assert "nih i4: duplicate of x" in message and "nih i5" not in message and "2 more" in message
    assert message.endswith("exclude: [config/excluded/chest.csv]")


@pytest.mark.realdata
def test_duplicates_among_real_chest_films(tmp_path):
    names = ("nih_cxr14", "covid_chestxray", "figure1", "actualmed")
    both = {name: store_of(name, REALDATA / name, 64, tmp_path / f"{name}.npy") for name in names}
    found = duplicates({name: table for name, (table, _) in both.items()}, {n: store for n, (_, store) in both.items()})
    pairs = {frozenset((row.image_id_a[-12:], row.image_id_b[-12:])) for row in found.itertuples()}
    # Confirmed by eye: one film under two patient ids, in two folders, with and without a letter.
    for known in (
        ("00002658_001", "00002658_002"),
        ("F24F36BCFBFB", "2_RX-TORACE1"),
        ("168B3B04E4A6", "COVID-00022"),
        ("27336527A981", "case_76_1-3"),
        ("AR-1", "extubation-1"),
        ("COVID-00033", "COVID-00037"),
    ):
        assert frozenset(name[-12:] for name in known) in pairs
    # Nothing else was, among 986,000 pairs with hundreds of follow-up films.
    assert len(found) == 14 and (~found["same_patient"]).sum() == 10
    assert (found["relation"] == "mirrored").sum() == 1
    assert leaks(found, "nih_cxr14", list(names)).empty
