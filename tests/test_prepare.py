"""What preparing does to images: shapes drawn at known places, hostile images, and real ones where they are present."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medtransfer.imaging.decode import decode
from medtransfer.imaging.prepare import PREPARATIONS, prepare
from tests.conftest import REALDATA

Box = tuple[int, int, int, int]  # top, bottom, left, right
NOISE = 24  # the background of the films of MIAS is darker


def ellipse(shape: tuple[int, int], centre: tuple[float, float], radii: tuple[float, float]) -> np.ndarray:
    """How far each pixel lies inside of an ellipse: 1 in its centre, 0 at its border and outside."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    distance = ((rows - centre[0]) / radii[0]) ** 2 + ((columns - centre[1]) / radii[1]) ** 2
    return np.clip(1 - distance, 0, 1)


def photograph(height: int, width: int, centre: tuple[int, int], radius: int, level: int = 160) -> np.ndarray:
    """A retina's disc, red and darker towards its rim, on black with the noise of JPEG."""
    inside = ellipse((height, width), centre, (radius, radius))
    red = np.where(inside > 0, level * (0.5 + 0.5 * inside), 0)
    noise = np.random.default_rng(0).integers(0, 5, (height, width, 3))
    return np.clip(red[:, :, None] * [1.0, 0.5, 0.2] + noise, 0, 255).astype(np.uint8)


def film(background: int = 0, right: bool = False, label: bool = True) -> np.ndarray:
    """A breast of 800 x 400 pixels, from row 100, at the edge of a film of 1000 x 800 that has a label and an edge."""
    image = np.full((1000, 800), background, dtype=np.uint8)
    thickness = ellipse(image.shape, (500, 0), (400, 400))
    texture = np.random.default_rng(1).uniform(0.6, 0.7, image.shape)
    image = np.maximum(image, (255 * np.minimum(1, 3 * thickness) * texture).astype(np.uint8))
    if label:
        image[40:100, 600:760] = 255
        image[-6:] = 240
    return image[:, ::-1].copy() if right else image


def found(image: np.ndarray, part: np.ndarray) -> Box:
    """Where `part`, cut out of `image`, lay in it; noise makes every row unlike all others."""
    first, width = part[0].tobytes(), image.shape[1]
    start = next(row for row in range(len(image)) if first in image[row].tobytes())
    left = image[start].tobytes().index(first) // image.shape[2]
    box = start, start + part.shape[0], left, left + part.shape[1]
    assert box[3] <= width and np.array_equal(image[box[0] : box[1], box[2] : box[3]], part)
    return box


@pytest.mark.parametrize(
    ("size", "centre", "radius"),
    [((214, 320), (107, 160), 90), ((300, 300), (120, 170), 100), ((600, 900), (300, 500), 250)],
)
@pytest.mark.parametrize("level", [60, 160, 250])
def test_a_photograph_is_cut_to_the_disc(size, centre, radius, level):
    image = photograph(size[0], size[1], centre, radius, level)
    box = found(image, prepare(image, "fundus"))
    slack = 0.02 * max(size) + 4
    expected = centre[0] - radius, centre[0] + radius, centre[1] - radius, centre[1] + radius
    assert np.abs(np.subtract(box, expected)).max() <= slack


@pytest.mark.parametrize("channels", [1, 3])
def test_frames_are_taken_off_one_after_the_other(channels):
    picture = np.random.default_rng(0).integers(60, 200, (40, 50), dtype=np.uint8)
    framed = np.pad(np.pad(picture, ((3, 5), (2, 0)), constant_values=250), 4)
    framed[:4] += np.random.default_rng(1).integers(0, 8, framed[:4].shape, dtype=np.uint8)  # what JPEG leaves
    if channels == 3:
        picture, framed = (np.repeat(image[:, :, None], 3, axis=2) for image in (picture, framed))
    assert (prepare(framed, "frame") == picture).all()


def test_marks_beside_the_disc_are_left_out():
    image = photograph(600, 900, (300, 450), 250)
    image[20:50, 20:120] = 255
    assert prepare(image, "fundus").shape == prepare(photograph(600, 900, (300, 450), 250), "fundus").shape


def test_a_disc_cut_at_top_and_bottom_keeps_its_full_height():
    cut = prepare(photograph(214, 320, (107, 160), 125), "fundus")
    assert cut.shape[0] == 214 and 250 <= cut.shape[1] <= 262


@pytest.mark.parametrize("level", [90, 160])
def test_a_photograph_that_shows_nothing_but_retina_stays_as_it_is(level):
    image = photograph(700, 700, (350, 350), 340, level)[120:580, 120:580]
    assert prepare(image, "fundus") is image


@pytest.mark.parametrize("background", [0, 3, 32])
@pytest.mark.parametrize("right", [False, True])
def test_a_film_is_cut_to_the_breast_with_its_wall_to_the_left(background, right):
    cut = prepare(film(background, right), "breast")
    assert np.abs(np.subtract(cut.shape, (800, 400))).max() <= 25
    assert cut[:, 0].mean() > 100 > cut[:, -1].mean()
    assert cut.max() < 200, "a label or the film's edge is left"
    assert np.array_equal(cut, prepare(film(background, not right), "breast"))


def test_only_what_is_beside_the_breast_turns_black():
    image = film(background=20)
    cut = prepare(image, "breast")
    middle = len(cut) // 2
    top = image.tobytes().index(cut[middle, :200].tobytes()) // image.shape[1] - middle
    before = image[top : top + len(cut), : cut.shape[1]]
    breast = ellipse(image.shape, (500, 0), (400, 400))[top : top + len(cut), : cut.shape[1]] > 0.05
    assert np.array_equal(cut[breast], before[breast])
    assert ((cut == before) | (cut == 0)).all() and (cut[before == 255] == 0).all()


def test_colour_films_are_treated_as_grey_ones():
    grey = film(right=True)
    assert np.array_equal(prepare(np.dstack([grey] * 3), "breast"), np.dstack([prepare(grey, "breast")] * 3))


@pytest.mark.parametrize("preparation", ["fundus", "breast"])
def test_what_is_prepared_stays_as_it_is(preparation):
    images = [photograph(600, 900, (300, 500), 250), photograph(214, 320, (107, 160), 125)]
    for image in images if preparation == "fundus" else [film(), film(30, right=True)]:
        once = prepare(image, preparation)
        twice = prepare(once, preparation)
        assert np.abs(np.subtract(once.shape, twice.shape)).max() <= 0.02 * max(once.shape)
        assert once.shape != image.shape


@pytest.mark.parametrize("preparation", PREPARATIONS)
@pytest.mark.parametrize("value", [0, 1, 30, 255])
@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (3000, 2), (64, 64, 3), (257, 511)])
def test_an_image_of_one_value_comes_back_unchanged(preparation, value, shape):
    image = np.full(shape, value, dtype=np.uint8)
    assert prepare(image, preparation) is image


@given(st.binary(min_size=1, max_size=3000), st.integers(1, 60), st.sampled_from([1, 3]), st.integers(1, 12))
def test_any_pixels_come_back_as_some_of_them(content, width, channels, scale):
    pixels = np.frombuffer(content * (width * channels), dtype=np.uint8)
    image = pixels.reshape(-1, width, channels).repeat(scale, axis=0).repeat(scale, axis=1)
    image = image[:, :, 0] if channels == 1 else image
    before = image.copy()
    for preparation in PREPARATIONS:
        out = prepare(image, preparation)
        assert out.dtype == np.uint8 and out.ndim == image.ndim and min(out.shape) > 0
        assert all(new <= old for new, old in zip(out.shape, image.shape, strict=True))
        assert np.isin(out, [0, *np.unique(image)]).all() and np.array_equal(out, prepare(image, preparation))
    assert np.array_equal(image, before), "the image itself was changed"


def test_none_leaves_images_alone_and_other_names_are_errors():
    image = film()
    assert prepare(image, "none") is image
    with pytest.raises(KeyError, match="heart"):
        prepare(image, "heart")


def test_large_films_take_memory_of_their_own_size():
    image = np.kron(film(), np.ones((5, 4), dtype=np.uint8))
    tracemalloc.start()
    prepare(image, "breast")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * image.nbytes


@pytest.mark.realdata
def test_real_mammograms_keep_the_breast_and_face_left():
    lost, mirrored = [], []
    for path in sorted((REALDATA / "mini_mias" / "images").glob("*.png")):
        image = np.asarray(Image.open(path))
        cut = prepare(image, "breast")
        if cut[cut > NOISE].sum() < 0.98 * image[image > NOISE].sum():
            lost.append(path.stem)
        odd = int(path.stem[3:]) % 2 == 1  # of each pair the film of the odd number has its wall on the right
        middle = cut[len(cut) // 2, cut.shape[1] // 2 - 8 :][:16]
        if middle.tobytes() not in (image[:, ::-1] if odd else image).tobytes():
            mirrored.append(path.stem)
    assert lost == ["mdb136"], "that film has a bright strip beside the breast"
    assert set(mirrored) <= {"mdb151", "mdb152"}, "those films are filled by the breast"


@pytest.mark.realdata
def test_a_real_scanned_film_loses_its_label():
    image = decode(REALDATA, "dicom/rob/WG04_J2KI_MG1_J2KI", channels=1)
    cut = prepare(image, "breast")
    assert cut.shape[0] > 0.95 * image.shape[0] and 0.6 < cut.shape[1] / image.shape[1] < 0.75


@pytest.mark.realdata
def test_real_photographs_are_cut_to_their_discs_and_no_further():
    for path in sorted((REALDATA / "dr_fundus" / "images").glob("*.jpg"))[::9]:
        image = np.asarray(Image.open(path).convert("RGB"))  # 214 x 320, the disc about 250 wide
        cut = prepare(image, "fundus")
        assert cut.shape[0] == 214 and 245 <= cut.shape[1] <= 320, path.stem
        assert prepare(image[20:194, 80:240], "fundus").shape == (174, 160, 3), path.stem
