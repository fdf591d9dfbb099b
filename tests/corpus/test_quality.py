"""The model that `modelway new` writes is no worse than LightGBM as it comes, on the same split."""

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from lightgbm import LGBMClassifier
from sklearn.metrics import roc_auc_score

from modelway.files.read import read_table
from modelway.scaffold.new import new_project
from modelway.training.estimate import fit_once
from modelway.training.user_code import load_user_code
from tests.corpus.real import statsmodels, uci


def _credit(folder: Path) -> tuple[pl.DataFrame, str]:
    path = uci(folder)
    if path is None:
        pytest.skip("UCI 350 is not here")
    return read_table(path).sample(6000, seed=0, shuffle=True), "class"


def _affairs(folder: Path) -> tuple[pl.DataFrame, str]:
    path = statsmodels("fair")(folder)
    if path is None:
        pytest.skip("statsmodels is not installed")
    frame = read_table(path).sample(fraction=1.0, seed=0, shuffle=True)
    return frame.with_columns((pl.col("affairs") > 0).alias("affair")).drop("affairs"), "affair"


def _shops(folder: Path) -> tuple[pl.DataFrame, str]:
    """Half of what can be known is in 300 shops of very unlike size, with blanks."""
    rng = np.random.default_rng(0)
    shop = rng.zipf(1.4, 6000).clip(1, 300)
    habit = rng.normal(size=301)
    amount = rng.normal(size=6000)
    lean = habit[shop] + amount * (shop % 2) + rng.normal(size=6000)
    columns = {
        "shop": [None if r < 0.05 else f"s{s}" for s, r in zip(shop, rng.random(6000), strict=True)],
        "amount": [None if r < 0.1 else float(a) for a, r in zip(amount, rng.random(6000), strict=True)],
        "bad": (lean > 1).astype(int),
    }
    return pl.DataFrame(columns), "bad"


@pytest.mark.parametrize("source", [_credit, _affairs, _shops], ids=["credit", "affairs", "shops"])
def test_auc_is_at_least_that_of_lightgbm_less_five_thousandths(source, tmp_path: Path):
    frame, target = source(tmp_path)
    made = new_project(tmp_path, "loans", tmp_path / "a.csv", target, frame=frame)
    assert made.task == "binary"
    code = load_user_code(tmp_path / "models" / "loans")
    names = [*getattr(code.module, "NUMBERS", []), *getattr(code.module, "WORDS", [])]
    table = frame.select(names).to_pandas()
    words = table.select_dtypes(object).columns
    table[words] = table[words].fillna("")
    y = frame[target].cast(pl.Int64).to_numpy()
    learn, judge = slice(0, int(0.8 * len(y))), slice(int(0.8 * len(y)), None)
    ours = fit_once(code, {}, table[learn], y[learn], "binary", 0, [])
    plain = table.astype({word: pd.CategoricalDtype(sorted(table[word].unique())) for word in words})
    theirs = LGBMClassifier(random_state=0, n_jobs=1, verbose=-1).fit(plain[learn], y[learn])
    auc = [roc_auc_score(y[judge], m.predict_proba(t[judge])[:, 1]) for m, t in ((ours, table), (theirs, plain))]
    assert auc[0] >= auc[1] - 0.005, auc
    print(auc)
