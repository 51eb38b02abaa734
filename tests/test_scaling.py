"""Scaling fits: known coefficients come back, and a design that cannot tell them apart is refused."""

import numpy as np
import pytest
from scipy.stats import linregress

from medtransfer.errors import UserError
from medtransfer.metrics.scaling import scaling_fit

PARAMETERS, IMAGES = (
    size.ravel() for size in np.meshgrid([23.5e6, 42.5e6, 211e6, 382e6, 936e6], [1.28e6, 14.2e6], indexing="ij")
)
RNG = np.random.default_rng(1)


def test_known_coefficients_come_back() -> None:
    wide, rich = np.log10(PARAMETERS), np.log10(IMAGES)
    truth = {"intercept": np.array([0.8, 0.7]), "parameters": np.array([0.02, -0.01]), "images": np.array([0.03, 0])}
    interaction = np.array([0.01, -0.02])
    wide, rich = (wide - wide.mean())[:, None], (rich - rich.mean())[:, None]
    scores = truth["intercept"] + wide * truth["parameters"] + rich * truth["images"] + wide * rich * interaction
    fit = scaling_fit({"parameters": PARAMETERS, "images": IMAGES}, scores)
    assert list(fit.coefficients) == ["intercept", "parameters", "images", "interaction"]
    for name, value in {**truth, "interaction": interaction}.items():
        np.testing.assert_allclose(fit.coefficients[name], value, atol=1e-12)
    np.testing.assert_allclose(fit.predict({"parameters": PARAMETERS, "images": IMAGES}), scores, atol=1e-12)


def test_two_axes_equal_least_squares_on_the_raw_logarithms() -> None:
    scores = RNG.normal(0.8, 0.05, size=(len(PARAMETERS), 20))
    wide, rich = np.log10(PARAMETERS), np.log10(IMAGES)
    raw = np.linalg.lstsq(np.column_stack([np.ones_like(wide), wide, rich, wide * rich]), scores)[0]
    fit = scaling_fit({"parameters": PARAMETERS, "images": IMAGES}, scores)
    np.testing.assert_allclose(fit.coefficients["interaction"], raw[3], atol=1e-8)
    np.testing.assert_allclose(fit.coefficients["parameters"], raw[1] + raw[3] * rich.mean(), atol=1e-8)


def test_in_a_two_by_two_grid_the_interaction_is_the_difference_of_differences() -> None:
    scores = np.array([[0.70], [0.72], [0.75], [0.81]])
    sizes = {"parameters": np.array([1e7, 1e7, 1e8, 1e8]), "images": np.array([1e6, 1e7, 1e6, 1e7])}
    np.testing.assert_allclose(scaling_fit(sizes, scores).coefficients["interaction"], (0.81 - 0.75) - (0.72 - 0.70))


def test_one_axis_equals_scipy() -> None:
    compute, scores = 10 ** RNG.uniform(17, 22, size=12), RNG.normal(0.8, 0.05, size=(12, 3))
    fit = scaling_fit({"compute": compute}, scores)
    assert list(fit.coefficients) == ["intercept", "compute"]
    points = np.array([1e18, 1e20])
    for column in range(3):
        line = linregress(np.log10(compute), scores[:, column])
        np.testing.assert_allclose(fit.coefficients["compute"][column], line.slope)
        predicted = fit.predict({"compute": points})[:, column]
        np.testing.assert_allclose(predicted, line.intercept + line.slope * np.log10(points))


def test_an_undefined_replicate_stays_by_itself() -> None:
    scores = RNG.normal(size=(len(PARAMETERS), 3))
    whole = scaling_fit({"parameters": PARAMETERS}, scores).coefficients["parameters"]
    scores[2, 1] = np.nan
    holed = scaling_fit({"parameters": PARAMETERS}, scores).coefficients["parameters"]
    np.testing.assert_allclose(holed, [whole[0], np.nan, whole[2]])


@pytest.mark.parametrize(
    ("parameters", "images", "message"),
    [
        ([1e7, 1e8, 1e9, 1e10], [1.28e6] * 4, "over images needs two values"),
        ([3e7] * 4, [1e6, 1e7, 1e8, 1e9], "over parameters needs two values"),
        ([1e7, 1e8, 1e9, 1e10], [1e6, 1e7, 1e8, 1e9], "cannot tell apart"),
        ([1e7, 1e8, 1e7], [1e6, 1e6, 1e7], "cannot tell apart"),
        ([1e7, 1e8, 1e7, 1e8], [0, 0, 1e7, 1e7], "trained from scratch"),
        ([1e7, 1e8, 1e7, 1e8], [np.nan, np.nan, 1e7, 1e7], "one of them is nan"),
    ],
)
def test_a_design_that_says_nothing_of_a_coefficient_is_refused(
    parameters: list[float], images: list[float], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        scaling_fit({"parameters": np.array(parameters), "images": np.array(images)}, np.ones((len(parameters), 2)))
