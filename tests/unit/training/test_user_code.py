import sys

import pytest

from modelway.errors import NotFoundError, TooLittleDataError, UserCodeError
from modelway.training.estimate import Watch
from modelway.training.fit import fit
from modelway.training.prepare import prepare
from modelway.training.user_code import load_user_code
from tests.unit.training.conftest import COLUMNS, MODEL, START, rows, spec_of


def _fails(place, store, task="binary", **training) -> UserCodeError:
    spec = spec_of(task, **training)
    training_set = prepare(rows(task=task), spec, COLUMNS, (), START, store)
    with pytest.raises(UserCodeError) as caught:
        fit(training_set, spec, place, store)
    return caught.value


def test_a_mistake_in_build_is_shown_with_the_users_lines_only(store, project):
    source = """
    def depth(params):
        return params["depth"]

    def build(params):
        return depth(params)
    """
    assert str(_fails(project(source), store)).splitlines() == [
        "build(params) of loans failed",
        "  model.py, line 6, in build",
        "    return depth(params)",
        "  model.py, line 3, in depth",
        '    return params["depth"]',
        "  KeyError: 'depth'",
        "  fix: correct the line in model.py, then: modelway check loans",
    ]


def test_a_mistake_in_a_sibling_file_names_that_file(store, project):
    place = project(
        "import helper\ndef build(params):\n    return helper.make()\n", helper="def make():\n    return 1 / 0\n"
    )
    message = str(_fails(place, store))
    assert "  helper.py, line 2, in make\n    return 1 / 0\n  ZeroDivisionError" in message


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def build(params)\n    return 1\n", ["model.py, line 1", "def build(params)", "SyntaxError: expected ':'"]),
        ("import surely_not_installed\n", ["model.py, line 1", "No module named 'surely_not_installed'"]),
        ("import sys\nsys.exit(4)\n", ["model.py, line 2", "SystemExit: 4 (model.py must not end the process)"]),
        ("x = 1\n", ["has no function build"]),
        ("build = 1\n", ["has no function build"]),
        ("def build(params):\n    return None\n", ["returned nothing"]),
        (
            "from sklearn.linear_model import Ridge\ndef build(params):\n    return Ridge\n",
            ["the class Ridge; write Ridge(…)"],
        ),
        ("def build(params):\n    return 'a model'\n", ["returned str, which has no fit"]),
        ("from sklearn.svm import SVC\ndef build(params):\n    return SVC()\n", ["SVC, which has no predict_proba"]),
        ("def build():\n    return 1\n", ["takes 0 positional arguments"]),
        ("import sys\ndef build(params):\n    sys.exit()\n", ["in build", "SystemExit"]),
    ],
)
def test_what_model_py_may_do_wrong(store, project, source, words):
    message = str(_fails(project(source), store))
    for word in words:
        assert word in message
    assert "modelway/training" not in message
    assert "Traceback" not in message


def test_an_error_within_fit_names_the_step_of_the_pipeline(store, project):
    source = MODEL.replace(
        '("numbers", SimpleImputer(), ["amount"])', '("numbers", SimpleImputer(), ["amount", "country"])'
    )
    message = str(_fails(project(source), store))
    assert "fitting the estimator of loans failed" in message
    assert "in the step prep → numbers (SimpleImputer)" in message
    assert "Cannot use mean strategy with non-numeric data" in message


def test_an_error_of_the_last_step_names_it(store, project):
    source = MODEL.replace("SimpleImputer()", '"passthrough"')
    assert "in the step model (LogisticRegression)" in str(_fails(project(source), store))


def test_an_error_in_the_users_own_transformer_shows_line_and_step(store, project):
    source = """
    from sklearn.base import BaseEstimator, TransformerMixin
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    class Ratio(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            return self
        def transform(self, X):
            return X[["amount", "income"]]
    def build(params):
        return Pipeline([("ratio", Ratio()), ("model", LogisticRegression())])
    """
    message = str(_fails(project(source), store))
    assert 'return X[["amount", "income"]]' in message
    assert "in the step ratio (Ratio)" in message
    assert "['income'] not in index" in message


def test_ctrl_c_is_not_a_mistake_of_the_user(project):
    code = load_user_code(project("def build(params):\n    raise KeyboardInterrupt\n"))
    with pytest.raises(KeyboardInterrupt):
        code.build({})


def test_a_project_without_model_py(tmp_path):
    with pytest.raises(NotFoundError, match=r"model\.py does not exist"):
        load_user_code(tmp_path)


def test_the_module_is_fresh_each_time_and_leaves_no_trace(project):
    place = project("import helper\ndef build(params):\n    return helper.ONE\n", helper="ONE = 1\n")
    path, modules = list(sys.path), set(sys.modules)
    first = load_user_code(place)
    (place / "helper.py").write_text("ONE = 2\n")
    second = load_user_code(place)
    assert (first.module.helper.ONE, second.module.helper.ONE) == (1, 2)
    assert first.digest != second.digest
    assert sys.path == path
    assert not {
        name for name in set(sys.modules) - modules if name == "helper" or "loans" in name or "modelway_project" in name
    }


def test_the_digest_is_of_the_code_and_not_of_its_tests_or_its_place(project, tmp_path):
    place = project()
    first = load_user_code(place).digest
    (place / "tests").mkdir()
    (place / "tests" / "test_model.py").write_text("def test(): ...\n")
    other = place.rename(tmp_path / "elsewhere")
    assert load_user_code(other).digest == first


def test_a_dataclass_and_string_annotations_work_in_model_py(project):
    source = """
    from __future__ import annotations
    from dataclasses import dataclass
    @dataclass
    class Settings:
        depth: int = 3
    def build(params):
        from sklearn.tree import DecisionTreeClassifier
        return DecisionTreeClassifier(max_depth=Settings().depth)
    """
    assert load_user_code(project(source)).build({}, "binary").max_depth == 3


def test_params_reach_build_as_a_copy(project):
    code = load_user_code(
        project(
            "from sklearn.dummy import DummyClassifier\ndef build(params):\n    params['x'] = 1\n    return DummyClassifier()\n"
        )
    )
    params: dict[str, int] = {}
    code.build(params)
    assert params == {}


@pytest.mark.parametrize(
    ("search_space", "words"),
    [
        ("", "has no search_space"),
        ("def search_space(trial):\n    return [1]\n", "returned list"),
        ("def search_space(trial):\n    return {'model': object()}\n", "cannot be stored as JSON"),
        ("def search_space(trial):\n    return {'C': trial.suggest(1)}\n", "no attribute 'suggest'"),
    ],
)
def test_what_search_space_may_do_wrong(store, project, search_space, words):
    source = MODEL[: MODEL.index("def search_space")] + search_space
    assert words in str(_fails(project(source), store, search={"trials": 2}))


def test_numpy_numbers_from_search_space_are_stored_as_pythons(store, project):
    source = (
        MODEL
        + "\nimport numpy as np\nold = search_space\ndef search_space(trial):\n    return {'C': np.float64(old(trial)['C'])}\n"
    )
    spec = spec_of(search={"trials": 2})
    training_set = prepare(rows(), spec, COLUMNS, (), START, store)
    assert type(fit(training_set, spec, project(source), store, Watch()).params["C"]) is float


def test_a_search_whose_folds_hold_one_class_only_is_refused(store, project):
    spec = spec_of(search={"trials": 2, "folds": 3})
    import polars as pl

    frame = rows().with_columns(
        _target=pl.when(pl.int_range(300).is_in([1, 290])).then(pl.lit("yes")).otherwise(pl.lit("no"))
    )
    with pytest.raises(TooLittleDataError, match="none of 3 folds"):
        fit(prepare(frame, spec, COLUMNS, (), START, store), spec, project(), store)
