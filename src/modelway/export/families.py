"""Which function writes which model; a class that is neither here nor in `transformers.py` goes through the stock converter."""

from collections.abc import Callable
from typing import Any

from modelway.export import catboost, hist_gradient_boosting, lightgbm, linear, network, skorch, trees, xgboost
from modelway.export.block import Block
from modelway.export.graph import GraphBuilder

Model = Callable[[GraphBuilder, Any, Block], str]

MODELS: dict[str, Model] = {
    "sklearn.DecisionTreeClassifier": trees.forest_classifier,
    "sklearn.ExtraTreeClassifier": trees.forest_classifier,
    "sklearn.RandomForestClassifier": trees.forest_classifier,
    "sklearn.ExtraTreesClassifier": trees.forest_classifier,
    "sklearn.DecisionTreeRegressor": trees.forest_regressor,
    "sklearn.ExtraTreeRegressor": trees.forest_regressor,
    "sklearn.RandomForestRegressor": trees.forest_regressor,
    "sklearn.ExtraTreesRegressor": trees.forest_regressor,
    "sklearn.GradientBoostingClassifier": trees.boosting_classifier,
    "sklearn.GradientBoostingRegressor": trees.boosting_regressor,
    "sklearn.IsolationForest": trees.isolation,
    "sklearn.HistGradientBoostingClassifier": hist_gradient_boosting.classifier,
    "sklearn.HistGradientBoostingRegressor": hist_gradient_boosting.regressor,
    "lightgbm.LGBMClassifier": lightgbm.classifier,
    "lightgbm.LGBMRegressor": lightgbm.regressor,
    "catboost.CatBoostClassifier": catboost.classifier,
    "catboost.CatBoostRegressor": catboost.regressor,
    "xgboost.XGBClassifier": xgboost.classifier,
    "xgboost.XGBRFClassifier": xgboost.classifier,
    "xgboost.XGBRegressor": xgboost.regressor,
    "xgboost.XGBRFRegressor": xgboost.regressor,
    "skorch.NeuralNetClassifier": skorch.classifier,
    "skorch.NeuralNetBinaryClassifier": skorch.classifier,
    "skorch.NeuralNetRegressor": skorch.regressor,
    "sklearn.MLPClassifier": network.classifier,
    "sklearn.MLPRegressor": network.regressor,
    "sklearn.LogisticRegression": linear.logistic,
    "sklearn.LogisticRegressionCV": linear.logistic,
    "sklearn.SGDClassifier": linear.one_against_rest,
    **dict.fromkeys(
        [
            f"sklearn.{name}"
            for name in (
                *("LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV", "Lars"),
                *("LassoLars", "LassoLarsCV", "LassoLarsIC", "LarsCV", "BayesianRidge", "ARDRegression"),
                *("HuberRegressor", "QuantileRegressor", "SGDRegressor", "LinearSVR", "TheilSenRegressor"),
            )
        ],
        linear.regression,
    ),
    "sklearn.PoissonRegressor": linear.generalised,
    "sklearn.GammaRegressor": linear.generalised,
    "sklearn.TweedieRegressor": linear.generalised,
}

DECISIONS: dict[str, Model] = {
    "lightgbm.LGBMClassifier": lightgbm.decision,
    "sklearn.GradientBoostingClassifier": trees.boosting_decision,
    "sklearn.HistGradientBoostingClassifier": hist_gradient_boosting.decision,
    **dict.fromkeys(
        [
            f"sklearn.{name}"
            for name in (
                *("LogisticRegression", "LogisticRegressionCV", "SGDClassifier", "LinearSVC", "RidgeClassifier"),
                *("RidgeClassifierCV", "Perceptron", "LinearDiscriminantAnalysis"),
            )
        ],
        linear.decision,
    ),
}
"""The decision functions that calibration and stacks ask for: double[N, 1] for two classes, else double[N, k]."""


def is_single(step: Any) -> bool:
    """Whether the library computes this model in single precision itself: so does the graph that we write of it."""
    name = key(step)
    return name.startswith("xgboost.") or (name.startswith("skorch.") and not skorch.is_double(step))


def key(step: Any) -> str:
    """`library.Class`: subclasses of a user's own have another key, since they may compute something else."""
    return f"{type(step).__module__.partition('.')[0]}.{type(step).__name__}"
