"""Preprocessing as banks build it, whole pipelines through the gate."""

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lightgbm import LGBMClassifier
from sklearn import feature_selection as select
from sklearn import preprocessing as pre
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union

from modelway.errors import ExportError
from modelway.export.build import export_estimator
from modelway.export.parity import check_parity
from tests.unit.export.frames import COLUMNS, NUMBERS, WORDS, frame, targets

TABLE, HELD = frame(400, 1), frame(150, 2)
Y = targets(TABLE)
MODELS = {
    "binary": lambda: LogisticRegression(max_iter=300),
    "multiclass": lambda: RandomForestClassifier(4, max_depth=5, random_state=0),
    "regression": lambda: Ridge(),
}


def filled(*steps):
    return make_pipeline(SimpleImputer(strategy="median"), *steps)


def split(numbers, words=None, **options):
    words = words if words is not None else pre.OneHotEncoder(handle_unknown="ignore")
    return ColumnTransformer([("n", numbers, list(NUMBERS)), ("w", words, list(WORDS))], sparse_threshold=0, **options)


def proved(model, task="binary", table=TABLE, held=HELD, columns=COLUMNS, y=None):
    """Exported in double and through the gate at 1e-9."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = model.fit(table, Y[task] if y is None else y)
        made = export_estimator(fitted, columns, task)
        assert made.exactness == "double", [str(step) for step in made.steps if step.exactness == "single"]
        proof = check_parity(made.onnx, fitted, columns, task, held, exactness="double", seed=0, hints=made.hints)
    assert proof.parity.tolerance == 1e-9
    return made, proof


STEPS = {
    "bins": lambda: pre.KBinsDiscretizer(6, quantile_method="averaged_inverted_cdf"),
    "ordinal bins": lambda: pre.KBinsDiscretizer(5, encode="ordinal", strategy="uniform"),
    "many bins": lambda: pre.KBinsDiscretizer(90, encode="ordinal", strategy="uniform"),
    "splines": lambda: make_pipeline(pre.StandardScaler(), pre.SplineTransformer(n_knots=4)),
    "products": lambda: make_pipeline(pre.StandardScaler(), pre.PolynomialFeatures(3, interaction_only=True)),
    "quantiles": lambda: pre.QuantileTransformer(n_quantiles=50, output_distribution="normal"),
    "powers": lambda: pre.PowerTransformer(),
    "lengths": lambda: make_pipeline(pre.RobustScaler(), pre.Normalizer()),
    "above": lambda: make_pipeline(pre.MinMaxScaler(clip=True), pre.Binarizer(threshold=0.5)),
    "largest": lambda: make_pipeline(pre.MaxAbsScaler(), pre.FunctionTransformer(np.cbrt)),
}


@pytest.mark.parametrize("task", MODELS)
@pytest.mark.parametrize("name", STEPS)
def test_steps_in_a_pipeline(name, task):
    _, proof = proved(make_pipeline(split(filled(STEPS[name]())), MODELS[task]()), task)
    assert proof.parity.rows > 600


def test_rows_on_the_edges_of_bins_are_asked():
    made, proof = proved(make_pipeline(split(filled(STEPS["ordinal bins"]())), LogisticRegression(max_iter=300)))
    assert set(made.hints.splits) == set(NUMBERS)
    assert proof.parity.cases["on and next to splits"] > 1000


@pytest.mark.parametrize("task", MODELS)
@pytest.mark.parametrize("smooth", ["auto", 0.0, 50.0])
def test_target_encoder_of_words(task, smooth):
    encoder = pre.TargetEncoder(smooth=smooth, random_state=0)
    _, proof = proved(make_pipeline(split(filled(), encoder), MODELS[task]()), task)
    assert "unseen" not in proof.refuses
    assert proof.parity.cases["strange words"] > 10


@pytest.mark.parametrize("task", MODELS)
def test_target_encoder_of_whole_numbers_with_missing_ones(task):
    encoded = ColumnTransformer([("n", pre.TargetEncoder(random_state=0), ["age"])])
    proved(make_pipeline(encoded, MODELS[task]()), task)


SELECTORS = {
    "k best": lambda: select.SelectKBest(k=3),
    "percentile": lambda: select.SelectPercentile(percentile=40),
    "false discoveries": lambda: select.SelectFdr(alpha=0.9),
    "generic": lambda: select.GenericUnivariateSelect(mode="k_best", param=4),
    "variance": lambda: select.VarianceThreshold(0.1),
    "from a forest": lambda: select.SelectFromModel(RandomForestClassifier(5, random_state=0)),
    "recursive": lambda: select.RFE(RandomForestClassifier(2, random_state=0), n_features_to_select=3, step=5),
    "sequential": lambda: select.SequentialFeatureSelector(
        LogisticRegression(max_iter=50), n_features_to_select=1, cv=2
    ),
}


@pytest.mark.parametrize("name", SELECTORS)
def test_selectors_keep_the_columns_that_they_chose(name):
    made, _ = proved(
        make_pipeline(split(filled(pre.StandardScaler())), SELECTORS[name](), LogisticRegression(max_iter=300))
    )
    assert len(made.steps) >= 4


IMPUTERS = {
    "a number of its own stands for missing": lambda: make_pipeline(
        SimpleImputer(strategy="constant", fill_value=-999.0), SimpleImputer(missing_values=-999.0, add_indicator=True)
    ),
    "by a function": lambda: SimpleImputer(strategy=lambda known: known.max() if len(known) else 7.0),
    "empty columns are kept": lambda: SimpleImputer(keep_empty_features=True),
    "indicators of all": lambda: make_union(SimpleImputer(), MissingIndicator(features="all")),
}


@pytest.mark.parametrize("name", IMPUTERS)
def test_imputers(name):
    table, held = TABLE.assign(amount=np.nan), HELD.assign(amount=np.nan)
    proved(make_pipeline(split(IMPUTERS[name]()), RandomForestClassifier(4, random_state=0)), table=table, held=held)


@pytest.mark.parametrize("strategy", ["most_frequent", "constant"])
def test_a_word_column_without_any_word_is_dropped_or_filled(strategy):
    table, held = TABLE.assign(job=""), HELD.assign(job="")
    fill = SimpleImputer(missing_values="", strategy=strategy, add_indicator=True)
    filling = ColumnTransformer([("w", fill, ["job", "country", "channel"])])
    encoded = ColumnTransformer([("e", pre.OneHotEncoder(handle_unknown="ignore"), [0, 1])], remainder="drop")
    proved(make_pipeline(filling, encoded, LogisticRegression(max_iter=300)), table=table, held=held)


def test_words_that_are_missing_get_an_indicator():
    marks = make_union(pre.OneHotEncoder(handle_unknown="ignore"), MissingIndicator(missing_values="", features="all"))
    proved(make_pipeline(split(filled(), marks), LogisticRegression(max_iter=300)))


ONE_HOT = [
    {"drop": "first", "handle_unknown": "ignore"},
    {"drop": "if_binary", "handle_unknown": "ignore", "min_frequency": 0.05},
    {"drop": "first", "handle_unknown": "infrequent_if_exist", "min_frequency": 8},
    {"handle_unknown": "infrequent_if_exist", "max_categories": 3},
    {"handle_unknown": "infrequent_if_exist", "min_frequency": 0.05, "max_categories": 4},
    {"handle_unknown": "warn", "min_frequency": 8},
    {"categories": [["", "DE"], ["FR"], ["x1", "x2"]], "handle_unknown": "ignore"},
    {"drop": ["DE", "FR", "nan"], "handle_unknown": "error"},
    {"dtype": np.int32, "handle_unknown": "ignore"},
]
ORDINAL = [
    {"handle_unknown": "use_encoded_value", "unknown_value": -5},
    {"handle_unknown": "use_encoded_value", "unknown_value": 99, "max_categories": 3},
    {"categories": [["DE", "", "FR"]] * 3, "handle_unknown": "use_encoded_value", "unknown_value": np.nan},
    {"handle_unknown": "use_encoded_value", "unknown_value": -1, "dtype": np.int64},
]


@pytest.mark.parametrize("options", ONE_HOT, ids=str)
def test_one_hot_encoder(options):
    proved(make_pipeline(split(filled(), pre.OneHotEncoder(**options)), LogisticRegression(max_iter=300)))


def test_a_single_infrequent_category_has_the_last_column_wherever_it_is_in_the_alphabet():
    table = TABLE.assign(job=np.where(np.arange(len(TABLE)) < 3, "M", np.where(TABLE["ratio"] > 0, "A", "Z")))
    encoder = pre.OneHotEncoder(min_frequency=5, handle_unknown="ignore")
    only = ColumnTransformer([("job", encoder, ["job"])], sparse_threshold=0)
    proved(make_pipeline(only, LogisticRegression(max_iter=300)), table=table)


@pytest.mark.parametrize("options", ORDINAL, ids=str)
def test_ordinal_encoder(options):
    model = HistGradientBoostingClassifier(max_iter=4, random_state=0)
    proved(make_pipeline(split(filled(), pre.OrdinalEncoder(**options)), model))


@pytest.mark.parametrize("encoder", [pre.OneHotEncoder, pre.OrdinalEncoder], ids=lambda kind: kind.__name__)
def test_encoders_of_numbers(encoder):
    more = {"handle_unknown": "ignore"} if encoder is pre.OneHotEncoder else ORDINAL[0]
    ages = ColumnTransformer([("age", encoder(min_frequency=5, **more), ["age"])], sparse_threshold=0)
    proved(make_pipeline(ages, RandomForestClassifier(4, random_state=0)))


def test_transformers_within_transformers_and_the_remainder():
    inner = make_column_transformer(
        (pre.StandardScaler(), ["ratio", "age"]), ("drop", ["balance"]), remainder="passthrough"
    )
    numbers = make_pipeline(SimpleImputer().set_output(transform="pandas"), inner)
    outer = ColumnTransformer(
        [("numbers", numbers, list(NUMBERS)), ("gone", "drop", ["job"])],
        remainder=pre.OneHotEncoder(handle_unknown="ignore"), sparse_threshold=0,
    )  # fmt: skip
    proved(make_pipeline(outer, LogisticRegression(max_iter=300)))


def test_columns_chosen_by_their_kind_and_places():
    chosen = ColumnTransformer(
        [
            ("numbers", filled(), make_column_selector(dtype_include=float)),
            ("words", pre.TargetEncoder(random_state=0), make_column_selector(dtype_include=object)),
        ]
    )
    again = ColumnTransformer([("first", pre.KBinsDiscretizer(4, strategy="uniform"), [0, 2])], remainder="passthrough")
    proved(make_pipeline(chosen, again, RandomForestClassifier(4, random_state=0)))


def test_words_and_numbers_pass_one_transformer_on_their_way_to_the_next():
    first = ColumnTransformer([("n", filled(), list(NUMBERS))], remainder="passthrough")
    second = ColumnTransformer(
        [("w", pre.OneHotEncoder(handle_unknown="ignore"), [4, 5, 6])],
        remainder=pre.StandardScaler(), sparse_threshold=0,
    )  # fmt: skip
    proved(make_pipeline(first, second, LogisticRegression(max_iter=300)))


def test_unions_with_weights_passthrough_and_drop():
    union = FeatureUnion(
        [
            ("plain", "passthrough"),
            ("gone", "drop"),
            ("bins", pre.KBinsDiscretizer(4, encode="ordinal", strategy="uniform")),
            ("inner", make_union(pre.StandardScaler(), select.SelectKBest(k=2))),
        ],
        transformer_weights={"plain": 0.5, "inner": 2.0, "bins": 0.0},
    )
    weights = {"n": 3.0}
    proved(make_pipeline(split(filled(union), transformer_weights=weights), RandomForestClassifier(4, random_state=0)))


@pytest.mark.parametrize(
    ("step", "least"),
    [
        (pre.FunctionTransformer(np.log), 5e-324),
        (pre.FunctionTransformer(np.sqrt), 0.0),
        (pre.FunctionTransformer(np.log1p), np.nextafter(-1.0, 0.0)),
        (pre.PowerTransformer("box-cox"), 5e-324),
    ],
    ids=["log", "sqrt", "log1p", "box-cox"],
)
@pytest.mark.parametrize("model", [LogisticRegression, LGBMClassifier])
def test_numbers_that_have_no_logarithm_are_refused_where_python_raises_or_has_no_score(step, least, model):
    steps = ColumnTransformer([("a", make_pipeline(SimpleImputer(), step), ["amount"])])
    made = model(n_estimators=5, verbose=-1, n_jobs=1) if model is LGBMClassifier else model()
    _, proof = proved(make_pipeline(steps, made))
    takes_missing = model is LGBMClassifier and not isinstance(step, pre.PowerTransformer)
    assert proof.refuses.get("below", {}) == ({} if takes_missing else {"amount": least})
    assert proof.refuses.get("beyond", {}) == {}
    assert proof.parity.cases["holdout"] == len(HELD)


ROUNDED = [
    pre.PowerTransformer(),
    pre.QuantileTransformer(n_quantiles=50, output_distribution="normal"),
    pre.FunctionTransformer(np.cbrt),
    make_pipeline(pre.FunctionTransformer(np.expm1), pre.MinMaxScaler()),
    pre.Normalizer(),
]
COMPARING = [
    HistGradientBoostingClassifier(max_iter=2),
    make_pipeline(pre.KBinsDiscretizer(4, strategy="uniform"), LogisticRegression()),
    make_pipeline(pre.FunctionTransformer(np.rint), LogisticRegression()),
    make_pipeline(pre.PolynomialFeatures(), pre.Binarizer(), LogisticRegression()),
]


@pytest.mark.parametrize("step", ROUNDED, ids=lambda step: type(step).__name__)
@pytest.mark.parametrize("model", COMPARING, ids=lambda model: type(model).__name__)
def test_nothing_decides_on_the_last_bit_of_a_logarithm(step, model):
    steps = ColumnTransformer([("a", make_pipeline(SimpleImputer(), pre.RobustScaler(), step), ["ratio", "age"])])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = make_pipeline(steps, model).fit(TABLE, Y["binary"])
    with pytest.raises(ExportError, match="last bit") as refused:
        export_estimator(fitted, COLUMNS, "binary")
    assert "leave that function out" in refused.value.fix


def test_other_columns_and_exact_functions_do_not_stand_in_the_way_of_boosting():
    logs = make_pipeline(SimpleImputer(), pre.FunctionTransformer(np.sqrt), pre.QuantileTransformer(n_quantiles=50))
    steps = ColumnTransformer([("a", logs, ["amount"])], remainder="drop")
    proved(make_pipeline(steps, HistGradientBoostingClassifier(max_iter=4)))


@pytest.mark.parametrize("reader", [CountVectorizer(), TfidfVectorizer(), HashingVectorizer(n_features=16)])
def test_text_is_refused_with_a_way_out(reader):
    model = make_pipeline(ColumnTransformer([("text", reader, "job")], remainder="drop"), LogisticRegression())
    with pytest.raises(ExportError, match="parts text") as refused:
        export_estimator(model.fit(TABLE, Y["binary"]), COLUMNS, "binary")
    assert "OneHotEncoder" in refused.value.fix


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_random_preprocessing_on_random_data(data):
    seed = data.draw(st.integers(0, 10_000))
    task = data.draw(st.sampled_from(sorted(MODELS)))
    step = STEPS[data.draw(st.sampled_from(sorted(STEPS)))]()
    words = data.draw(
        st.sampled_from([pre.TargetEncoder(random_state=0), *(pre.OneHotEncoder(**o) for o in ONE_HOT[:6])])
    )
    table, held = frame(data.draw(st.integers(80, 200)), seed, missing=0.2), frame(60, seed + 1)
    scale = 10.0 ** data.draw(st.integers(-6, 6))
    table["ratio"], held["ratio"] = table["ratio"] * scale, held["ratio"] * scale
    y = targets(table, seed)[task]
    if task != "regression" and len(np.unique(y)) < (2 if task == "binary" else 3):
        return
    proved(make_pipeline(split(filled(step), words), MODELS[task]()), task, table, held, y=y)
