"""Real tables: those that come with scikit-learn, statsmodels and arch, and UCI 350."""

import importlib
from collections.abc import Callable
from pathlib import Path

from tests.corpus.case import Case

ROOT = Path(__file__).resolve().parents[2]
UCI = (
    ROOT / "examples/credit_risk/uci_credit_card_default.csv.gz",
    ROOT / "../shared/data/uci_credit_card_default.csv.gz",
)


def uci(folder: Path) -> Path | None:
    return next((path for path in UCI if path.is_file()), None)


def sklearn(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        from sklearn import datasets

        path = folder / f"{name}.csv"
        getattr(datasets, f"load_{name}")(as_frame=True).frame.to_csv(path, index=False)
        return path

    return make


def iris_by_name(folder: Path) -> Path:
    """With class names, as a pandas user writes it: with its nameless index column."""
    from sklearn import datasets

    bunch = datasets.load_iris(as_frame=True)
    path = folder / "iris.csv"
    bunch.frame.assign(species=bunch.target_names[bunch.target]).drop(columns="target").to_csv(path)
    return path


def statsmodels(name: str, ending: str = ".csv") -> Callable[[Path], Path | None]:
    def make(folder: Path) -> Path | None:
        try:
            datasets = importlib.import_module("statsmodels.datasets")
        except ImportError:
            return None
        table = importlib.import_module(f"{datasets.__name__}.{name}").load_pandas().data
        path = folder / f"{name}{ending}"
        if ending == ".parquet":
            table.to_parquet(path)
        elif ending == ".ndjson":
            table.to_json(path, orient="records", lines=True)
        else:
            table.to_csv(path, index=False)
        return path

    return make


def sp500(folder: Path) -> Path | None:
    """Daily prices; will tomorrow's range be above the median?"""
    try:
        from arch.data import sp500 as source
    except ImportError:
        return None
    table = source.load()
    span = (table["High"] - table["Low"]) / table["Close"]
    table["turbulent"] = (span.shift(-1) > span.median()).map({True: "yes", False: "no"})
    path = folder / "sp500.csv.gz"
    table.iloc[-1500:-1].to_csv(path)
    return path


REAL = (
    Case("uci-credit", "UCI 350, 30,000 card holders (gzip)", "class", "binary", uci, key="ID"),
    Case("breast-cancer", "scikit-learn", "target", "binary", sklearn("breast_cancer")),
    Case("iris", "scikit-learn, class names, nameless index", "species", "multiclass", iris_by_name, key="column_1", exact=True),
    Case("wine", "scikit-learn", "target", "multiclass", sklearn("wine"), exact=True),
    Case("digits", "scikit-learn, 64 pixels, ten classes", "target", "multiclass", sklearn("digits"),
         ignored=("pixel_0_0",)),
    Case("diabetes", "scikit-learn", "target", "regression", sklearn("diabetes"), exact=True),
    Case("fair", "statsmodels, affairs as a number", "affairs", "regression", statsmodels("fair")),
    Case("fair-parquet", "statsmodels, Parquet, whole numbers 1–5", "rate_marriage", "multiclass",
         statsmodels("fair", ".parquet")),
    Case("anes96", "statsmodels, Clinton or Dole", "vote", "binary", statsmodels("anes96"), exact=True),
    Case("spector", "statsmodels, 32 students", "GRADE", "binary", statsmodels("spector"), exact=True),
    Case("copper", "statsmodels, 25 years", "WORLDCONSUMPTION", "regression", statsmodels("copper")),
    Case("longley", "statsmodels, 16 years", "TOTEMP", "regression", statsmodels("longley", ".ndjson"), exact=True),
    Case("randhie", "statsmodels, 20,190 visits", "mdvis", "regression", statsmodels("randhie")),
    Case("statecrime", "statsmodels, 51 states as index", "murder", "regression", statsmodels("statecrime")),
    Case("sp500", "arch, daily prices 2013–2018 (gzip)", "turbulent", "binary", sp500, event_time="Date", exact=True),
)  # fmt: skip
