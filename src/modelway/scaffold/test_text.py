"""tests/test_model.py of a new model."""

from modelway.scaffold.look import Look

_TEST = '''\
"""pytest models/{model}: the estimator can be built, learns, and answers rows that it has never seen the like of."""

from pathlib import Path
from runpy import run_path

import numpy as np
import pandas as pd

MODEL = run_path(str(Path(__file__).parents[1] / "model.py"))
NUMBERS, WORDS = MODEL.get("NUMBERS", []), MODEL.get("WORDS", [])


def made_up(rows, seed=0):
    """Rows with missing numbers and words, and a target that the columns explain."""
    rng = np.random.default_rng(seed)
    lean = rng.normal(size=rows)
    numbers = {{name: np.where(rng.random(rows) < 0.1, np.nan, lean + rng.normal(size=rows)) for name in NUMBERS}}
    words = {{name: np.where(lean > 0, "a", rng.choice(["b", ""], rows)).astype(object) for name in WORDS}}
    return pd.DataFrame(numbers | words), {target}


def fitted():
    rows, target = made_up({rows})
    return MODEL["build"]({{}}).fit(rows, target)


def test_it_answers_rows_with_all_missing_and_with_new_words():
    rows, _ = made_up(4, seed=1)
    rows[NUMBERS] = np.nan
    rows[WORDS] = "never seen before"
    scores = fitted().{predict}(rows)
    assert scores.shape == {shape}
    assert np.isfinite(scores).all()


def test_it_learns():
    rows, target = made_up({rows}, seed=2)
    assert fitted().score(rows, target) > {better}


def test_it_learns_the_same_twice():
    rows, _ = made_up(20, seed=3)
    assert (fitted().{predict}(rows) == fitted().{predict}(rows)).all()
'''


def test_text(model: str, look: Look) -> str:
    """The file: rows are made up, so that it needs no data."""
    classes = len(look.target.counts)
    target, shape, better = "(lean > 0).astype(int)", "(4, 2)", "0.6"
    if look.target.task == "regression":
        target, shape, better = "10 * lean", "(4,)", "0.2"
    elif look.target.task == "multiclass":
        target, shape, better = f"lean.argsort().argsort() * {classes} // rows", f"(4, {classes})", f"1.2 / {classes}"
    predict = "predict" if look.target.task == "regression" else "predict_proba"
    return _TEST.format(
        model=model, target=target, predict=predict, shape=shape, better=better, rows=max(200, 40 * classes)
    )
