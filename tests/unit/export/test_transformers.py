"""Every transformer alone: its graph gives what its `transform` gives, to the last bit where only comparisons are made."""

import warnings

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import scipy.special
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn import preprocessing as pre
from sklearn.pipeline import make_pipeline

from modelway.errors import ExportError
from modelway.export.block import block
from modelway.export.functions import FUNCTIONS
from modelway.export.graph import GraphBuilder
from modelway.export.intervals import places
from tests.unit.export.steps import both

CLOSE = 1e-13
"""Of max(1, |value|): the last bits of logarithms and exponentials."""


def table(rows: int, seed: int, missing: float = 0.0) -> pd.DataFrame:
    r = np.random.default_rng(seed)
    made = pd.DataFrame(
        {
            "amount": np.exp(r.normal(4, 2, rows)),
            "count": r.integers(0, 6, rows).astype(float),
            "ratio": r.normal(0, 1, rows),
            "balance": r.normal(1e6, 5e5, rows),
        }
    )
    return made.mask(r.random(made.shape) < missing)


def asked(seed: int, learned: pd.DataFrame, missing: float = 0.0) -> pd.DataFrame:
    """Rows of training, new ones, and ones far outside."""
    new = table(200, seed + 1, missing)
    return pd.concat([learned.head(100), new, new.head(50) * 100, new.head(50) * -100, new.head(20) * 0])


def apart(step, missing: float = 0.0, seed: int = 0, rows: int = 300, positive: bool = False) -> float:
    """The largest difference of both, in units of max(1, |value|)."""
    learned = table(rows, seed, missing)
    questions = asked(seed, learned, missing)
    if positive:
        learned, questions = learned.abs() + 1e-6, questions.abs() + 1e-6
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        python, graph = both(step.fit(learned), questions)
    same = (python == graph) | (np.isnan(python) & np.isnan(graph))
    with np.errstate(invalid="ignore"):
        return float(np.where(same, 0.0, np.abs(python - graph) / np.maximum(1.0, np.abs(python))).max())


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    encode=st.sampled_from(["ordinal", "onehot", "onehot-dense"]),
    strategy=st.sampled_from(["uniform", "quantile", "kmeans"]),
    bins=st.integers(2, 9) | st.integers(80, 120),
    seed=st.integers(0, 10_000),
)
def test_bins_are_equal_to_the_last_bit(encode, strategy, bins, seed):
    if strategy == "kmeans":
        bins = min(bins, 9)
    step = pre.KBinsDiscretizer(bins, encode=encode, strategy=strategy, quantile_method="averaged_inverted_cdf")
    assert apart(step, seed=seed) == 0.0


def test_values_on_the_edges_of_bins_fall_on_the_same_side():
    for count in (8, 200):  # compared one by one; searched
        step = pre.KBinsDiscretizer(count, encode="ordinal", strategy="uniform").fit(table(300, 0))
        edges = pd.DataFrame(dict(zip(step.feature_names_in_, np.array(list(step.bin_edges_)), strict=True)))
        for near in (edges, np.nextafter(edges, np.inf), np.nextafter(edges, -np.inf)):
            python, graph = both(step, near)
            np.testing.assert_array_equal(python, graph)


@pytest.mark.parametrize("count", [3, 300])
def test_places_of_missing_and_infinite_values(count):
    graph = GraphBuilder()
    columns = block(graph.input("numbers", 11, 1), "number", [None])
    session = onnxruntime.InferenceSession(graph.finish(places(graph, columns, [np.arange(float(count))]), 1))
    asked = np.array([[np.nan], [-np.inf], [np.inf], [-0.0], [1.5]])
    assert session.run(None, {"numbers": asked})[0].ravel().tolist() == [0, 0, count, 1, 2]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    low=st.integers(0, 3),
    more=st.integers(0, 2),
    interaction_only=st.booleans(),
    include_bias=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_products_are_equal_to_the_last_bit(low, more, interaction_only, include_bias, seed):
    if low + more == 0 and not include_bias:
        return  # scikit-learn refuses it
    degree = (low, low + more)
    step = pre.PolynomialFeatures(degree, interaction_only=interaction_only, include_bias=include_bias)
    assert apart(step, seed=seed) == 0.0
    assert apart(pre.PolynomialFeatures(max(low, 1), interaction_only=interaction_only), seed=seed) == 0.0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    degree=st.integers(0, 4),
    knots=st.integers(2, 9),
    spread=st.sampled_from(["uniform", "quantile"]),
    extrapolation=st.sampled_from(["constant", "linear", "continue", "periodic"]),
    include_bias=st.booleans(),
    missing=st.sampled_from([0.0, 0.1]),
    seed=st.integers(0, 10_000),
)
def test_splines(degree, knots, spread, extrapolation, include_bias, missing, seed):
    degree = max(degree, {"constant": 1, "linear": 2}.get(extrapolation, 0))
    if extrapolation == "periodic":
        knots = max(knots, degree + 1)
    include_bias = include_bias or degree == 0
    step = pre.SplineTransformer(
        n_knots=knots, degree=degree, knots=spread, extrapolation=extrapolation, include_bias=include_bias,
        handle_missing="zeros" if missing else "error",
    )  # fmt: skip
    assert apart(step, missing, seed) <= CLOSE


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("degree", "extrapolation"), [(1, "constant"), (3, "constant"), (2, "linear")])
def test_splines_whose_knots_coincide_at_an_end(degree, extrapolation, turned):
    step = pre.SplineTransformer(n_knots=7, degree=degree, knots="quantile", extrapolation=extrapolation)
    values = pd.DataFrame({"x": [0.0] * 40 + [1.0, 2.0, 3.0, 4.0] * 15}) * (-1 if turned else 1)
    questions = pd.DataFrame({"x": np.linspace(-9, 9, 73)})
    python, graph = both(step.fit(values), questions)
    np.testing.assert_allclose(graph, python, rtol=0, atol=CLOSE)


def test_sparse_splines_and_a_column_of_one_value():
    step = pre.SplineTransformer(n_knots=4, sparse_output=True, extrapolation="periodic")
    assert apart(step) <= CLOSE
    learned = table(50, 0).assign(count=3.0)
    python, graph = both(step.fit(learned), learned.assign(count=[3.0, 4.0] * 25))
    np.testing.assert_allclose(graph, python, rtol=0, atol=CLOSE)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"extrapolation": "error"}, "beyond its knots"),
        ({"extrapolation": "linear", "degree": 1}, "degree=1"),
        ({"degree": 0}, "degree=0"),
    ],
)
def test_splines_that_raise_or_go_wrong_in_python_are_refused(options, told):
    with pytest.raises(ExportError, match=told) as refused:
        both(pre.SplineTransformer(**options).fit(table(50, 0)), table(50, 0))
    assert refused.value.fix


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    distribution=st.sampled_from(["uniform", "normal"]),
    quantiles=st.integers(2, 20) | st.integers(100, 300),
    missing=st.sampled_from([0.0, 0.1, 0.5]),
    seed=st.integers(0, 10_000),
)
def test_quantiles(distribution, quantiles, missing, seed):
    step = pre.QuantileTransformer(n_quantiles=quantiles, output_distribution=distribution, random_state=0)
    assert apart(step, missing, seed) <= (CLOSE if distribution == "normal" else 0.0)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    method=st.sampled_from(["yeo-johnson", "box-cox"]),
    standardize=st.booleans(),
    missing=st.sampled_from([0.0, 0.1]),
    seed=st.integers(0, 10_000),
)
def test_powers(method, standardize, missing, seed):
    step = pre.PowerTransformer(method, standardize=standardize)
    assert apart(step, missing, seed, positive=method == "box-cox") <= 1e-11


@pytest.mark.parametrize("lambdas", [[0.0, 2.0, 1.0, -1.0], [1e-18, 2 - 1e-17, 0.5, 3.0]])
@pytest.mark.parametrize("method", ["yeo-johnson", "box-cox"])
def test_powers_of_zero_and_two_are_logarithms(method, lambdas):
    learned = table(100, 0).abs() + 0.1
    step = pre.PowerTransformer(method, standardize=False).fit(learned)
    step.lambdas_ = np.array(lambdas)
    python, graph = both(step, learned if method == "box-cox" else asked(0, learned))
    np.testing.assert_allclose(graph, python, rtol=1e-11)


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
def test_normalizer(norm):
    assert apart(pre.Normalizer(norm)) <= CLOSE
    tiny = table(5, 0) * 1e-300  # shorter than scikit-learn divides by
    python, graph = both(pre.Normalizer(norm).fit(tiny), tiny)
    np.testing.assert_array_equal(python, graph)


def test_binarizer():
    assert apart(pre.Binarizer(threshold=3.0)) == 0.0


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_numpy_and_scipy(name):
    step = pre.FunctionTransformer(getattr(np, name, None) or getattr(scipy.special, name))
    learned = table(300, 0, 0.1)
    rows = asked(0, learned, 0.1)
    python, graph = both(step.fit(learned), pd.concat([rows, rows * 1e-6, rows * 1e-14, rows * 1e30, -rows]))
    np.testing.assert_allclose(graph, python, rtol=4e-15, atol=4e-15)


def test_functions_that_keep_small_numbers_keep_them():
    small = pd.DataFrame({"x": [s * 10.0**-k for k in range(1, 300, 7) for s in (1, -1)]})
    for function in (np.log1p, np.expm1):
        python, graph = both(pre.FunctionTransformer(function).fit(small), small)
        np.testing.assert_allclose(graph, python, rtol=1e-14)


@pytest.mark.parametrize("limits", [{"a_min": 0, "a_max": 4}, {"a_min": None, "a_max": 4.5}, {"min": -1.0}])
def test_clip_with_its_bounds(limits):
    limits = {"a_min": None, "a_max": None, **limits} if "min" not in limits else limits
    assert apart(pre.FunctionTransformer(np.clip, kw_args=limits), 0.1) == 0.0


def log1p(values):
    return values


@pytest.mark.parametrize(
    ("function", "arguments"),
    [(lambda x: x + 1, None), (log1p, None), (np.gradient, None), (np.log1p, {"where": True})],
)
def test_functions_outside_the_list_are_refused_with_a_way_out(function, arguments):
    step = pre.FunctionTransformer(function, kw_args=arguments).fit(table(20, 0))
    with pytest.raises(ExportError, match="FunctionTransformer") as refused:
        both(step, table(20, 0))
    assert "modelway.yaml" in refused.value.fix or "kw_args" in refused.value.fix


def test_a_function_of_none_hands_columns_on():
    assert apart(make_pipeline(pre.FunctionTransformer(), pre.StandardScaler())) == 0.0


def test_bins_of_single_precision_round_as_python_does():
    step = pre.KBinsDiscretizer(4, encode="ordinal", dtype=np.float32, quantile_method="averaged_inverted_cdf")
    assert apart(step) == 0.0
    edges = pd.DataFrame(dict(zip(step.feature_names_in_, np.array(list(step.bin_edges_)), strict=True)))
    for near in (edges, edges * (1 + 1e-9), edges * (1 - 1e-9)):
        python, graph = both(step, near)
        np.testing.assert_array_equal(python, graph)
