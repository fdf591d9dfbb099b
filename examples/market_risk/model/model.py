"""Logistic regression on how much the market moved lately: few parameters, since a year holds about fifty independent weeks."""

from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler


def build(params):
    return Pipeline(
        [
            ("missing", SimpleImputer(strategy="median", keep_empty_features=True)),
            ("scale", StandardScaler()),
            ("model", LogisticRegression(C=params.get("C", 0.1), max_iter=2000)),
        ]
    )
