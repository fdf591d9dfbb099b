"""A detector of anomalies: learned without the target, from rows with a label and without; its score is how odd a row is."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.errors import DataError, TooLittleDataError, UserCodeError
from modelway.records import width_of
from modelway.training.classes import ODDITIES, oddities
from modelway.training.fit import fit, load_estimator
from modelway.training.frames import codes, read_training_set, to_pandas
from modelway.training.importance import importance
from modelway.training.predict import scores
from modelway.training.prepare import learnable, prepare
from modelway.training.split import TRAIN
from tests.unit.training.conftest import COLUMNS, START, rows, spec_of

FOREST = """
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

class Blind(IsolationForest):
    def fit(self, X, y=None):
        assert y is None, "a detector is not given the target"
        return super().fit(X)

def build(params):
    words = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    prep = ColumnTransformer([("words", words, ["country"])], remainder="passthrough")
    return Pipeline([("prep", prep), ("forest", Blind(n_estimators=params.get("trees", 20), random_state=0))])

def search_space(trial):
    return {"trees": trial.suggest_int("trees", 2, 30)}
"""


def labelled(share=0.5, seed=0) -> pl.DataFrame:
    """Rows of which some have a label."""
    frame, rng = rows(seed=seed), np.random.default_rng(seed)
    known = pl.Series(rng.random(frame.height) < share)
    return frame.with_columns(_target=pl.when(known).then(pl.col("_target")))


@given(st.lists(st.sampled_from([0, 1, None])))
def test_labels_are_told_apart_whatever_is_missing(given):
    said = {0: "normal", 1: "anomaly", None: None}
    assert oddities(pl.Series(given, dtype=pl.Int64)).to_list() == [said[one] for one in given]
    named = {0: "no", 1: "Yes", None: ""}
    assert oddities(pl.Series([named[one] for one in given], dtype=pl.String)).to_list() == [said[one] for one in given]


@pytest.mark.parametrize(
    ("labels", "positive", "says"),
    [
        ([0, 1, None], None, ["normal", "anomaly", None]),
        ([0.0, 1.0, float("nan")], None, ["normal", "anomaly", None]),
        ([True, False], None, ["anomaly", "normal"]),
        ([1, None], None, ["anomaly", None]),
        (["clean", None], None, ["normal", None]),
        (["fraud", None], "fraud", ["anomaly", None]),
        (["ok", "ok", "theft"], None, ["normal", "normal", "anomaly"]),
        (["ok", "theft", "mule"], "mule", ["normal", "normal", "anomaly"]),
        ([], None, []),
    ],
)
def test_what_counts_as_an_anomaly(labels, positive, says):
    assert oddities(pl.Series(labels), positive).to_list() == says


def test_more_than_two_labels_need_to_be_told_apart():
    with pytest.raises(DataError, match="3 labels") as refused:
        oddities(pl.Series(["ok", "theft", "mule"]))
    assert "positive" in refused.value.fix


@pytest.mark.parametrize("event_time", ["at", None])
def test_all_rows_are_learned_from_and_held_out_whether_or_not_they_have_a_label(store, event_time):
    frame, spec = labelled(0.1), spec_of("anomaly", event_time)
    made = prepare(frame, spec, COLUMNS, (), START, store)
    assert (made.rows, made.too_young) == (frame.height, 0)
    assert (made.classes, made.width) == (ODDITIES, 1)
    assert learnable(frame, spec, 0)[0].height == frame.height
    kept = read_training_set(made, store)
    assert kept["_target"].null_count() == frame["_target"].null_count()
    assert set(codes(kept["_target"], made.classes)) == {-1, 0, 1}


def test_no_row_needs_a_label(store):
    frame = rows().with_columns(_target=pl.lit(None, pl.String))
    made = prepare(frame, spec_of("anomaly"), COLUMNS, (), START, store)
    assert made.rows == frame.height
    assert set(codes(read_training_set(made, store)["_target"], made.classes)) == {-1}


def test_the_split_does_not_see_the_labels(store):
    spec = spec_of("anomaly", None)
    parts = [
        read_training_set(prepare(frame, spec, COLUMNS, (), START, store), store)["_part"].to_list()
        for frame in (rows(), labelled(0.01))
    ]
    assert parts[0] == parts[1]


def test_it_is_fitted_without_the_target_and_scored_by_how_odd_a_row_is(store, project):
    made = prepare(labelled(), spec_of("anomaly"), COLUMNS, (), START, store)
    fitted = fit(made, spec_of("anomaly"), project(FOREST), store)
    estimator = load_estimator(fitted.estimator, store)
    frame = to_pandas(read_training_set(made, store, TRAIN), made.columns)
    found = scores(estimator, frame, "anomaly", made.width)
    np.testing.assert_array_equal(found[:, 0], -estimator.score_samples(frame))
    odd = frame.assign(amount=50.0)
    assert (scores(estimator, odd, "anomaly", 1) > np.quantile(found, 0.5)).all()
    blind = fit(
        prepare(rows().with_columns(_target=None), spec_of("anomaly"), COLUMNS, (), START, store),
        spec_of("anomaly"),
        project(FOREST),
        store,
    )
    same = scores(load_estimator(blind.estimator, store), frame, "anomaly", 1)
    np.testing.assert_array_equal(same, found)


def test_what_does_not_say_how_odd_a_row_is_is_refused_with_the_way_out(store, project):
    made = prepare(labelled(), spec_of("anomaly"), COLUMNS, (), START, store)
    with pytest.raises(UserCodeError, match="has no score_samples") as refused:
        fit(made, spec_of("anomaly"), project(), store)
    assert "IsolationForest" in refused.value.fix


def test_a_detector_under_another_task_is_told_which_one_it_needs(store, project):
    made = prepare(rows(), spec_of(), COLUMNS, (), START, store)
    with pytest.raises(UserCodeError, match=r"no predict_proba .*needs task: anomaly"):
        fit(made, spec_of(), project(FOREST), store)


def test_a_search_ranks_the_labelled_rows_and_needs_both_kinds(store, project):
    spec = spec_of("anomaly", search={"trials": 3, "folds": 2, "metric": "average_precision"})
    made = prepare(labelled(), spec, COLUMNS, (), START, store)
    fitted = fit(made, spec, project(FOREST), store)
    assert fitted.trials == 3
    assert 2 <= fitted.params["trees"] <= 30
    none = prepare(rows().with_columns(_target=None), spec, COLUMNS, (), START, store)
    with pytest.raises(TooLittleDataError, match="folds"):
        fit(none, spec, project(FOREST), store)


def test_a_column_is_worth_how_far_it_moves_the_score(store, project):
    made = prepare(labelled(), spec_of("anomaly"), COLUMNS, (), START, store)
    estimator = load_estimator(fit(made, spec_of("anomaly"), project(FOREST), store).estimator, store)
    frame = read_training_set(made, store).with_columns(country=pl.lit("DE"))
    worth = importance(estimator, frame, codes(frame["_target"], made.classes), COLUMNS, "anomaly", 1)
    assert worth["amount"] > 0
    assert worth["country"] == 0


@pytest.mark.parametrize(
    ("task", "classes", "width"),
    [("binary", ("0", "1"), 2), ("multiclass", ("a", "b", "c"), 3), ("regression", (), 1), ("anomaly", ODDITIES, 1)],
)
def test_scores_a_row(task, classes, width):
    assert width_of(task, classes) == width
