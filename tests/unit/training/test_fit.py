import numpy as np
import polars as pl
import pytest

from modelway.errors import UserCodeError
from modelway.records import Column, Fit, TrainingSet, dumps, loads
from modelway.training.estimate import Progress, Watch
from modelway.training.fit import fit, load_estimator, refit
from modelway.training.frames import read_training_set, to_pandas
from modelway.training.predict import scores
from modelway.training.prepare import prepare
from tests.unit.training.conftest import COLUMNS, START, rows, spec_of


def _set(store, spec, **kind) -> TrainingSet:
    return prepare(rows(task=spec.task, **kind), spec, COLUMNS, (), START, store)


def _scores(made: Fit, training_set: TrainingSet, store) -> np.ndarray:
    held = read_training_set(training_set, store, "holdout")
    frame = to_pandas(held, training_set.columns)
    return scores(load_estimator(made.estimator, store), frame, training_set.task, max(1, len(training_set.classes)))


def test_the_positive_class_is_the_last_column_and_the_model_has_learned(store, project):
    spec = spec_of()
    training_set = _set(store, spec)
    made = fit(training_set, spec, project(), store)
    held = read_training_set(training_set, store, "holdout")
    likely = _scores(made, training_set, store)[:, 1]
    bad = (held["_target"] == "yes").to_numpy()
    assert training_set.classes == ("no", "yes")
    assert likely[bad].mean() > likely[~bad].mean() + 0.1
    assert loads(Fit, dumps(made)) == made


@pytest.mark.parametrize(
    ("task", "model", "width"), [("multiclass", "LogisticRegression()", 3), ("regression", "Ridge()", 1)]
)
def test_other_tasks(store, project, task, model, width):
    spec = spec_of(task)
    source = f"""
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.impute import SimpleImputer
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    def build(params):
        return make_pipeline(make_column_transformer((SimpleImputer(), ["amount"])), {model})
    """
    training_set = _set(store, spec)
    made = _scores(fit(training_set, spec, project(source), store), training_set, store)
    assert made.shape == (training_set.holdout_rows, width)
    if task == "multiclass":
        np.testing.assert_allclose(made.sum(axis=1), 1)


FOREST = """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    def build(params):
        return make_pipeline(make_column_transformer((SimpleImputer(), ["amount"])), RandomForestClassifier(20))
"""


def test_training_twice_gives_the_same_scores_though_the_user_set_no_seed(store, project):
    spec = spec_of()
    training_set = _set(store, spec)
    first, second = (fit(training_set, spec, project(FOREST), store) for _ in range(2))
    np.testing.assert_array_equal(_scores(first, training_set, store), _scores(second, training_set, store))
    other = fit(training_set, spec_of(seed=1), project(FOREST), store)
    assert (_scores(other, training_set, store) != _scores(first, training_set, store)).any()


def test_a_fit_is_reproduced_from_the_store_alone_without_searching(store, project):
    spec = spec_of(search={"trials": 4, "metric": "roc_auc"})
    place = project()
    training_set = _set(store, spec)
    made = fit(training_set, spec, place, store)
    (place / "model.py").unlink()
    again = refit(made, training_set, spec, store)
    assert made.trials == 4
    assert (again.params, again.code, again.refitted) == (made.params, made.code, False)
    np.testing.assert_array_equal(_scores(again, training_set, store), _scores(made, training_set, store))


def test_refit_on_all_rows_is_marked_and_differs(store, project):
    spec = spec_of()
    training_set = _set(store, spec)
    made = fit(training_set, spec, project(), store)
    whole = refit(made, training_set, spec, store, all_rows=True)
    assert whole.refitted
    assert (_scores(whole, training_set, store) != _scores(made, training_set, store)).any()
    assert refit(whole, training_set, spec, store).refitted


def test_classes_of_model_py_and_of_its_siblings_load_where_the_project_is_not(store, project):
    source = """
    from helper import Doubler
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    class Own(LogisticRegression):
        pass
    def build(params):
        return make_pipeline(Doubler(), Own())
    """
    helper = """
    from sklearn.base import BaseEstimator, TransformerMixin
    class Doubler(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            self.done_ = True
            return self
        def transform(self, X):
            return X[["amount"]].fillna(0) * 2
    """
    spec = spec_of()
    training_set = _set(store, spec)
    place = project(source, helper=helper)
    made = fit(training_set, spec, place, store)
    for file in place.iterdir():
        file.unlink()
    assert _scores(made, training_set, store).shape == (training_set.holdout_rows, 2)


def test_progress_is_told_trial_by_trial_and_warnings_are_gathered_not_printed(store, project):
    source = """
    import warnings
    from sklearn.dummy import DummyClassifier
    class Loud(DummyClassifier):
        def fit(self, X, y, sample_weight=None):
            warnings.warn("careful")
            return super().fit(X, y)
    def build(params):
        return Loud()
    def search_space(trial):
        return {"x": trial.suggest_int("x", 0, 3)}
    """
    told: list[Progress] = []
    watch = Watch(told.append)
    spec = spec_of(search={"trials": 3})
    fit(_set(store, spec), spec, project(source), store, watch)
    assert [p.done for p in told] == [1, 2, 3]
    assert watch.notes == ["UserWarning: careful"]


def test_an_estimator_that_predicts_nan_is_refused(store, project):
    source = """
    import numpy as np
    from sklearn.dummy import DummyRegressor
    class Empty(DummyRegressor):
        def predict(self, X):
            return np.full(len(X), np.nan)
    def build(params):
        return Empty()
    """
    spec = spec_of("regression")
    with pytest.raises(UserCodeError, match="NaN or infinity"):
        fit(_set(store, spec), spec, project(source), store)


def test_an_estimator_that_cannot_be_stored_is_refused(store, project):
    source = """
    import threading
    from sklearn.dummy import DummyClassifier
    class Held(DummyClassifier):
        def fit(self, X, y, sample_weight=None):
            self.lock_ = threading.Lock()
            return super().fit(X, y)
    def build(params):
        return Held()
    """
    spec = spec_of()
    with pytest.raises(UserCodeError, match="cannot be stored"):
        fit(_set(store, spec), spec, project(source), store)


TREES = """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    def build(params):
        columns = make_column_transformer(("passthrough", ["amount", "usual"]))
        return make_pipeline(columns, HistGradientBoostingClassifier())
"""


def test_a_fit_that_fails_on_a_column_without_any_value_names_the_column(store, project):
    """scikit-learn's says `window shape cannot be larger than input array shape`, and no word which column."""
    spec = spec_of()
    frame = rows().with_columns(usual=pl.lit(None, pl.Float64))
    training_set = prepare(frame, spec, (*COLUMNS, Column("usual", "number")), (), START, store)
    with pytest.raises(UserCodeError, match=r"none has a value in: usual\n") as caught:
        fit(training_set, spec, project(TREES), store)
    assert "window shape" in caught.value.problem
    assert caught.value.fix.startswith("leave it out of model.py, or see in modelway.yaml why nothing is there")
