"""Scorecards as banks write them: weights of evidence by optbinning, a logistic regression, points to double the odds."""

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline

from modelway.errors import ExportError
from modelway.export.block import Origin, block
from modelway.export.build import export_estimator
from modelway.export.graph import GraphBuilder
from modelway.export.optbinning import binning_process
from modelway.export.parity import check_parity
from tests.unit.export.frames import COLUMNS, NUMBERS, WORDS, frame, run, targets

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    optbinning = pytest.importorskip("optbinning")

TABLE, HELD = frame(600, 1, missing=0.15), frame(200, 2, missing=0.15)
Y = targets(TABLE)
NAMES = [*NUMBERS, *WORDS]
SPECIAL = -999.0


def binning(names=NAMES, **options):
    words = [name for name in names if name in WORDS]
    return optbinning.BinningProcess(list(names), categorical_variables=words, **options)


def card(**options):
    scaling = {"pdo": 20, "odds": 50, "scorecard_points": 600}
    return optbinning.Scorecard(
        binning(), LogisticRegression(), scaling_method="pdo_odds", scaling_method_params=scaling, **options
    )


def proved(model, task="binary", table=TABLE, held=HELD, y=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = model.fit(table, Y[task] if y is None else y)
        made = export_estimator(fitted, COLUMNS, task)
        proof = check_parity(made.onnx, fitted, COLUMNS, task, held, exactness=made.exactness, seed=0, hints=made.hints)
    assert made.exactness == "double"
    return made, proof


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_weights_of_evidence_before_a_linear_model(task):
    model = LinearRegression() if task == "regression" else LogisticRegression()
    made, proof = proved(make_pipeline(binning(), model), task)
    assert [step.kind for step in made.steps] == ["BinningProcess", type(model).__name__]
    assert set(made.hints.splits) <= set(NUMBERS)
    assert set(made.hints.words) == set(WORDS)
    assert proof.parity.cases["on and next to splits"] == 2500
    assert proof.refuses == {}


def test_numbers_binned_for_several_classes():
    few = ColumnTransformer([("few", binning(NUMBERS), list(NUMBERS))])
    proved(make_pipeline(few, LogisticRegression()), "multiclass")


def with_specials(table):
    return table.assign(amount=table["amount"].mask(np.arange(len(table)) % 7 == 0, SPECIAL))


@pytest.mark.parametrize("codes", [[SPECIAL, -998.0], {"refused": SPECIAL, "unknown": [-998.0, -997.0]}], ids=str)
@pytest.mark.parametrize("value", [0, "empirical", 1.5])
def test_special_codes_and_missing_values_have_bins_of_their_own(codes, value):
    own = {name: {"metric_special": value, "metric_missing": value} for name in NAMES}
    process = binning(special_codes=codes, binning_transform_params=own)
    made, _ = proved(make_pipeline(process, LogisticRegression()), table=with_specials(TABLE), held=with_specials(HELD))
    assert SPECIAL in made.hints.splits["amount"]


@pytest.mark.parametrize("metric", ["woe", "event_rate", "indices"])
def test_metrics(metric):
    own = {name: {"metric": metric} for name in NAMES}
    proved(make_pipeline(binning(binning_transform_params=own), LogisticRegression(max_iter=500)))


def test_rare_words_share_a_bin_and_unseen_ones_get_the_value_that_was_asked_for():
    own = {name: {"cat_cutoff": 0.1, "cat_unknown": 0.25} for name in WORDS}
    proved(make_pipeline(binning(binning_fit_params=own), LogisticRegression()))


def test_bins_that_the_user_drew():
    own = {
        "age": {"user_splits": [30.0, 50.0, 70.0]},
        "country": {"user_splits": np.array([["DE"], ["FR", ""], ["Österreich", "x1", "x2", "nan"]], dtype=object)},
    }
    proved(make_pipeline(binning(binning_fit_params=own), LogisticRegression()))


def test_variables_that_are_not_selected_are_left_out():
    made, _ = proved(make_pipeline(binning(selection_criteria={"iv": {"min": 0.02}}), LogisticRegression()))
    assert len(made.hints.splits) + len(made.hints.words) <= len(NAMES)
    few = ColumnTransformer([("few", binning(["country", "ratio"]), ["country", "ratio"])])
    proved(make_pipeline(few, LogisticRegression()))


def test_behind_a_column_transformer_columns_go_by_their_place():
    chosen = ColumnTransformer([("n", "passthrough", list(NUMBERS))])
    process = optbinning.BinningProcess([f"x{place}" for place in range(len(NUMBERS))])
    proved(make_pipeline(chosen, process, LogisticRegression()))


@pytest.mark.parametrize("rounding", [True, False])
def test_a_scorecard_gives_its_probabilities(rounding):
    made, _ = proved(card(rounding=rounding))
    assert [step.path for step in made.steps] == ["binning_process_", "estimator_"]


def test_a_scorecard_remembers_what_it_was_fitted_to_make_of_missing_values():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = card().fit(TABLE, Y["binary"], metric_missing="empirical", metric_special=0.5)
    made = export_estimator(model, COLUMNS, "binary")
    check_parity(made.onnx, model, COLUMNS, "binary", HELD, exactness="double", seed=0, hints=made.hints)


def test_the_points_of_a_scorecard_feed_another_model():
    made, _ = proved(make_pipeline(card(rounding=True, intercept_based=True), LogisticRegression()))
    assert [step.kind for step in made.steps] == ["Scorecard", "LogisticRegression"]


def test_points_follow_from_the_probability():
    """offset + factor · log(good odds), with factor = PDO / log 2, is the unrounded sum of the points."""
    empirical = {name: {"metric_special": "empirical", "metric_missing": "empirical"} for name in NAMES}
    model = card()
    model.binning_process.binning_transform_params = empirical
    made, _ = proved(model)
    bad = run(made.onnx, HELD)[:, 1]
    factor = 20 / np.log(2)
    points = 600 - factor * np.log(50) + factor * np.log((1 - bad) / bad)
    known = (HELD[list(WORDS)].isin(TABLE["country"].unique())).all(axis=1)
    np.testing.assert_allclose(points[known], model.score(HELD)[known], atol=1e-9)


def test_a_scorecard_of_amounts():
    model = optbinning.Scorecard(binning(), LinearRegression(), scaling_method=None)
    proved(model, "regression")


def test_bins_as_words_are_refused():
    process = binning(list(NUMBERS), binning_transform_params={name: {"metric": "bins"} for name in NUMBERS})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        process.fit(TABLE[list(NUMBERS)], Y["binary"])
    graph = GraphBuilder()
    columns = block(graph.input("numbers", 11, len(NUMBERS)), "number", [Origin(name) for name in NUMBERS])
    with pytest.raises(ExportError, match="becomes words"):
        binning_process(graph, process, columns)


def test_numbers_binned_as_categories_are_refused_by_name():
    process = optbinning.BinningProcess(["age"], categorical_variables=["age"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make_pipeline(ColumnTransformer([("age", process, ["age"])]), LogisticRegression())
        model.fit(TABLE.fillna(0.0), Y["binary"])
    with pytest.raises(ExportError, match="age is numbers, binned as categories"):
        export_estimator(model, COLUMNS, "binary")


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_random_binnings_on_random_data(data):
    seed = data.draw(st.integers(0, 10_000))
    table, held = frame(data.draw(st.integers(150, 400)), seed, missing=0.2), frame(60, seed + 1)
    options = {
        "max_n_prebins": data.draw(st.integers(2, 12)),
        "min_prebin_size": data.draw(st.sampled_from([0.02, 0.1])),
        "split_digits": data.draw(st.sampled_from([None, 1])),
        "special_codes": data.draw(st.sampled_from([None, [0.0], {"none": SPECIAL, "zero": [0.0, 1.0]}])),
    }
    proved(make_pipeline(binning(**options), LogisticRegression()), table=table, held=held, y=targets(table)["binary"])
