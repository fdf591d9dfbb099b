"""Encoders of category_encoders and feature_engine, through the gate."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from modelway.export.asked import ENCODERS
from modelway.export.build import export_estimator
from modelway.export.parity import check_parity
from tests.unit.export.frames import COLUMNS, NUMBERS, WORDS, frame, targets

TABLE, HELD = frame(400, 1), frame(150, 2)
Y = pd.Series(targets(TABLE)["binary"])
MORE = {
    "feature_engine.WoEEncoder": {"unseen": "ignore", "fill_value": 1e-6},
    "feature_engine.MeanEncoder": {"unseen": "encode"},
    "feature_engine.OrdinalEncoder": {"unseen": "encode"},
    "feature_engine.CountFrequencyEncoder": {"unseen": "encode"},
    "feature_engine.DecisionTreeEncoder": {
        "regression": False,
        "unseen": "encode",
        "fill_value": -1.0,
        "random_state": 0,
    },
}


def encoder(name, **options):
    library, _, kind = name.partition(".")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip(library + (".encoding" if library == "feature_engine" else ""))
    return getattr(module, kind)(**MORE.get(name, {}) | options)


def proved(step, table=TABLE, held=HELD, y=Y):
    numbers = SimpleImputer(strategy="median")
    parts = ColumnTransformer([("n", numbers, list(NUMBERS)), ("w", step, list(WORDS))], sparse_threshold=0)
    model = make_pipeline(parts, SimpleImputer(strategy="constant", fill_value=-7.0), LogisticRegression(max_iter=50))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = model.fit(table, y)
        made = export_estimator(fitted, COLUMNS, "binary")
        assert made.exactness == "double", made.steps
        return check_parity(made.onnx, fitted, COLUMNS, "binary", held, exactness="double", seed=0, hints=made.hints)


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder(name):
    proof = proved(encoder(name))
    assert proof.parity.worst <= 1e-9
    assert proof.parity.cases["strange words"] > 10 or proof.refuses["unseen"].keys() == set(WORDS)


@pytest.mark.parametrize("name", ["category_encoders.WOEEncoder", "category_encoders.OneHotEncoder"])
@pytest.mark.parametrize("unknown", ["error", "return_nan"])
def test_unseen_words_are_refused_where_the_encoder_raises(name, unknown):
    proof = proved(encoder(name, handle_unknown=unknown))
    assert set(proof.refuses.get("unseen", {})) == (set(WORDS) if unknown == "error" else set())


def test_words_that_the_encoder_knows_are_taken_though_the_holdout_has_none_of_them():
    step = encoder("category_encoders.WOEEncoder", handle_unknown="error")
    proof = proved(step, held=HELD.assign(job="DE"))
    assert set(proof.refuses["unseen"]["job"]) == set(TABLE["job"])


def test_columns_that_are_not_encoded_pass_through_and_numbers_can_be_categories():
    step = encoder("category_encoders.TargetEncoder", cols=["age", "country"])
    chosen = ColumnTransformer([("e", step, ["ratio", "age", "country", "amount"])])
    model = make_pipeline(chosen, SimpleImputer(), LogisticRegression(max_iter=50))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = model.fit(TABLE, Y)
        made = export_estimator(fitted, COLUMNS, "binary")
        check_parity(made.onnx, fitted, COLUMNS, "binary", HELD, exactness="double", seed=0, hints=made.hints)
    assert made.exactness == "double"


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=st.sampled_from(ENCODERS), seed=st.integers(0, 10_000), rows=st.integers(60, 300))
def test_random_encoders_on_random_data(name, seed, rows):
    table = frame(rows, seed)
    y = pd.Series(targets(table, seed)["binary"])
    if len(np.unique(y)) == 2:
        proved(encoder(name), table, frame(60, seed + 1), y)
