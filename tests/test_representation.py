"""CKA is the published quantity, its interval covers, and Gram matrices are those of what the network computes."""

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning_fabric import Fabric

from medtransfer.models.bit import build, skeleton
from medtransfer.models.catalogue import find
from medtransfer.representation.activations import gram_matrices, units
from medtransfer.representation.cka import cka, cka_interval
from medtransfer.training.augment import for_evaluation
from medtransfer.training.examples import Examples


def gram(features: np.ndarray) -> np.ndarray:
    return features @ features.T


def draw(seed: int, n: int, p: int, shared: float) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of p features over n images, of a decaying spectrum, whose pairs correlate by `shared`."""
    generator = np.random.default_rng(seed)
    spectrum = np.arange(1, p + 1) ** -0.5
    first, noise = generator.normal(size=(2, n, p))
    return first * spectrum, (shared * first + np.sqrt(1 - shared**2) * noise) * spectrum


def kornblith(X: np.ndarray, Y: np.ndarray) -> float:
    """Biased linear CKA from features, the formula of Kornblith et al. 2019, section 3."""
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    norm = np.linalg.norm
    return float(norm(Y.T @ X) ** 2 / (norm(X.T @ X) * norm(Y.T @ Y)))


def hsic_by_quadruples(K: np.ndarray, L: np.ndarray) -> float:
    """HSIC as the U-statistic over all ordered quadruples of distinct images (Song et al. 2012)."""
    terms = [K[i, j] * (L[i, j] + L[q, r] - 2 * L[i, q]) for i, j, q, r in permutations(range(len(K)), 4)]
    return float(np.mean(terms))


def test_hsic_is_estimated_by_the_published_u_statistic():
    X, Y = draw(0, 7, 12, 0.7)
    K, L = gram(X + 3), gram(Y)
    expected = hsic_by_quadruples(K, L) / np.sqrt(hsic_by_quadruples(K, K) * hsic_by_quadruples(L, L))
    assert cka(K, L) == pytest.approx(expected, rel=1e-9)


def test_crossed_halves_are_less_alike_than_by_chance():
    # Eight images, halved in two ways that cross. Centred entries are 4 within a half and -3 between halves, so a row
    # of the inner product is 16 - 24 - 24 + 18 = -14, of the norm 3 * 16 + 4 * 9 = 84. The biased CKA is 0.
    X, Y = np.array([[0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 0, 0, 1, 1]], dtype=float)[:, :, None]
    assert cka(gram(X), gram(Y)) == pytest.approx(-14 / 84)
    assert kornblith(X, Y) == 0


def test_cka_nears_the_formula_on_features_where_images_are_many():
    X, Y = draw(1, 1000, 4, 0.8)
    assert cka(gram(X), gram(Y)) == pytest.approx(kornblith(X, Y), abs=5e-3)


def test_cka_of_one_feature_each_nears_their_squared_correlation():
    X, Y = draw(2, 1000, 1, -0.6)
    assert cka(gram(X), gram(Y)) == pytest.approx(np.corrcoef(X[:, 0], Y[:, 0])[0, 1] ** 2, abs=5e-3)


def test_unrelated_wide_representations_are_not_alike():
    generator = np.random.default_rng(0)
    pairs = [generator.normal(size=(2, 32, 1000)) for _ in range(20)]
    assert min(kornblith(X, Y) for X, Y in pairs) > 0.9
    assert abs(np.mean([cka(gram(X), gram(Y)) for X, Y in pairs])) < 0.02


def test_cka_sees_no_rotation_scale_or_shift_but_other_maps():
    X, Y = draw(3, 60, 20, 0.7)
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(20, 20)))
    value = cka(gram(X), gram(Y))
    for same in (X @ rotation, -7 * X, X + np.arange(20), np.hstack([X, X])):
        assert cka(gram(same), gram(Y)) == pytest.approx(value, rel=1e-9)
        assert cka(gram(same), gram(X)) == pytest.approx(1)
    stretched = X * np.geomspace(1, 30, 20)
    assert cka(gram(stretched), gram(X)) < 0.6


@given(st.integers(0, 1000), st.integers(5, 12), st.integers(1, 30), st.floats(-1, 1))
def test_cka_is_symmetric_and_within_its_interval(seed, n, p, shared):
    K, L = (gram(features).astype(np.float32) for features in draw(seed, n, p, shared))
    value, low, high = cka_interval(K, L, 0.95)
    assert value == cka(K, L) == pytest.approx(cka(L, K), rel=1e-12)
    assert -1 <= low <= value <= high <= 1
    assert cka(K, K) == pytest.approx(1)


@pytest.mark.parametrize("n", [5, 25])
def test_interval_is_that_of_a_plain_jackknife(n):
    K, L = (gram(features) for features in draw(4, n, 40, 0.6))
    without = [cka_of_rest(K, L, image) for image in range(n)]
    error = np.sqrt((n - 1) * np.var(without))
    value, low, high = cka_interval(K, L, 0.9)
    assert low == pytest.approx(max(value - 1.6448536 * error, -1), rel=1e-6)
    assert high == pytest.approx(min(value + 1.6448536 * error, 1), rel=1e-6)


def cka_of_rest(K: np.ndarray, L: np.ndarray, image: int) -> float:
    """CKA without an image, by Song's formula in the kernel matrices themselves."""
    K, L = (np.delete(np.delete(matrix, image, 0), image, 1) for matrix in (K, L))
    K, L = K - np.diag(np.diag(K)), L - np.diag(np.diag(L))
    n, one = len(K), np.ones(len(K))

    def hsic(A: np.ndarray, B: np.ndarray) -> float:
        corrections = one @ A @ one * (one @ B @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * (one @ A @ B @ one)
        return float(np.trace(A @ B) + corrections)

    return hsic(K, L) / np.sqrt(hsic(K, K) * hsic(L, L))


def test_interval_covers_what_it_says():
    # Of these features CKA is shared ** 2, whatever the spectrum.
    hits, values = [], []
    for seed in range(1000):
        X, Y = draw(seed, 128, 100, 0.8)
        value, low, high = cka_interval(gram(X), gram(Y), 0.95)
        hits.append(low <= 0.64 <= high)
        values.append(value)
    assert 0.93 <= np.mean(hits) <= 0.97
    assert np.mean(values) == pytest.approx(0.64, abs=0.005)


def test_a_representation_without_variation_has_no_cka():
    K = gram(draw(5, 30, 10, 0)[0])
    rounding = np.random.default_rng(0).choice([-1, 0, 1], (30, 30)) * np.float32(2**-20)
    constant = np.full((30, 30), 11, dtype=np.float32) + rounding  # one unit in the last place up or down
    for other in (constant, np.zeros((30, 30))):
        assert np.isnan(cka_interval(K, other, 0.95)).all()


def test_cka_that_two_images_alone_decide_has_no_interval():
    features = np.zeros((30, 1))
    features[[7, 8]] = 1
    value, low, high = cka_interval(gram(features), gram(features), 0.95)
    assert value == pytest.approx(1)
    assert np.isnan([low, high]).all()


@pytest.mark.parametrize("shapes", [((4, 4), (4, 4)), ((8, 8), (9, 9)), ((8, 5), (8, 5)), ((8,), (8,))])
def test_what_is_no_pair_of_gram_matrices_is_refused(shapes):
    with pytest.raises(ValueError, match=r"\[n, n\] over 5 images"):
        cka(*(np.ones(shape) for shape in shapes))


@pytest.fixture(scope="module")
def fabric() -> Fabric:
    torch.set_num_threads(1)
    return Fabric(accelerator="cpu", devices=1)


@pytest.fixture
def examples() -> Examples:
    store = np.random.default_rng(0).integers(0, 256, (9, 40, 40), dtype=np.uint8)
    return Examples([store], np.zeros(7, dtype=int), np.arange(7)[::-1] + 2, np.zeros((7, 1), np.float32))


@pytest.fixture
def model() -> torch.nn.Module:
    model = build("r26w32", classes=2, seed=0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model


@pytest.mark.parametrize("batch", [3, 64])
def test_gram_matrices_are_those_of_the_activations_in_a_forward_pass(model, examples, fabric, batch):
    seen: dict[str, torch.Tensor] = {}

    def keep(name: str):
        return lambda module, inputs, output: seen.setdefault(name, output.detach().clone())

    places = {f"stage{s + 1}.unit{u + 1}": f"stages.{s}.blocks.{u}" for s in range(4) for u in range(2)}
    hooks = [
        model.get_submodule(place).register_forward_hook(keep(name))
        for name, place in {"stem": "stem", **places}.items()
    ]
    model(for_evaluation(examples.pixels(np.arange(7)), 32))
    for hook in hooks:
        hook.remove()
    grams = gram_matrices(model, examples, crop=32, batch=batch, fabric=fabric)
    assert list(grams) == list(seen) == ["stem", *places]
    for name, matrix in grams.items():
        assert matrix.dtype == np.float32
        expected = gram(seen[name].double().flatten(1).numpy())
        np.testing.assert_allclose(matrix, expected, rtol=0, atol=1e-6 * expected.max(), err_msg=name)
        np.testing.assert_allclose(matrix, matrix.T, rtol=1e-6)
        assert np.linalg.eigvalsh(matrix)[0] > -1e-6 * np.trace(matrix)


def test_wide_activations_are_multiplied_in_pieces(model, examples, fabric, monkeypatch):
    whole = gram_matrices(model, examples, 32, 4, fabric)
    monkeypatch.setattr("medtransfer.representation.activations.CHUNK", 100)
    pieces = gram_matrices(model, examples, 32, 4, fabric)
    for name, matrix in whole.items():
        np.testing.assert_allclose(pieces[name], matrix, rtol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_the_network_stays_as_it_was_also_after_an_error(model, examples, fabric, training):
    model.train(training)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    gram_matrices(model, examples, 32, 4, fabric)
    with pytest.raises(IndexError):
        gram_matrices(
            model, Examples(examples.stores, examples.store, examples.rows + 99, examples.targets), 32, 4, fabric
        )
    assert {module.training for module in model.modules()} == {training}
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    model(torch.ones(1, 3, 32, 32)).sum().backward()  # it can be trained on


@pytest.mark.parametrize("backbone", ["r14w16", "r101x1"])
def test_units_are_named_by_depth(backbone):
    expected = [f"stage{stage}.unit{unit + 1}" for stage, n in enumerate(find(backbone).units, 1) for unit in range(n)]
    assert [name for name, _ in units(skeleton(backbone, 2))] == ["stem", *expected]
