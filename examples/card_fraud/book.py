"""What the book published, and its five classifiers.

Le Borgne, Siblini, Lebichot, Bontempi: "Reproducible Machine Learning for Credit Card Fraud Detection – Practical Handbook"
(Université Libre de Bruxelles, 2022), https://fraud-detection-handbook.github.io/fraud-detection-handbook/:
chapter 3, "Baseline fraud detection system" (BaselineModeling), and chapter 5, "Model selection" (ModelSelection).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Figures:
    """As printed, to three digits."""

    auc_roc: float
    average_precision: float
    card_precision: float


LOGISTIC, SMALL_TREE, TREE, FOREST, BOOSTING = (
    "logistic regression",
    "decision tree of depth 2",
    "decision tree, unlimited",
    "random forest",
    "XGBoost",
)
PUBLISHED: Mapping[str, Figures] = {
    LOGISTIC: Figures(0.871, 0.606, 0.291),
    SMALL_TREE: Figures(0.763, 0.496, 0.241),
    TREE: Figures(0.788, 0.309, 0.243),
    FOREST: Figures(0.867, 0.658, 0.287),
    BOOSTING: Figures(0.862, 0.639, 0.273),
}
"""Chapter 3: test set of 8 to 14 August 2018, default parameters."""
BY_CHANCE = Figures(0.5, 0.007, 0.017)
TRAIN_ROWS, TRAIN_FRAUDS, TEST_ROWS, TEST_FRAUDS = 67_240, 598, 58_264, 385
SELECTED: Mapping[str, Figures] = {
    LOGISTIC: Figures(0.868, 0.623, 0.297),
    FOREST: Figures(0.870, 0.678, 0.299),
    BOOSTING: Figures(0.869, 0.687, 0.303),
}
"""Chapter 5: the mean of four test weeks, each figure with the parameters that were best for it on the validation weeks."""

Make = Callable[[], Any]


def classifiers() -> dict[str, Make]:
    """The book's, with its parameters; XGBoost only where it is installed."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier

    made: dict[str, Make] = {
        LOGISTIC: lambda: LogisticRegression(random_state=0),
        SMALL_TREE: lambda: DecisionTreeClassifier(max_depth=2, random_state=0),
        TREE: lambda: DecisionTreeClassifier(random_state=0),
        FOREST: lambda: RandomForestClassifier(random_state=0, n_jobs=-1),
    }
    try:
        from xgboost import XGBClassifier
    except ModuleNotFoundError:
        return made
    return {**made, BOOSTING: lambda: XGBClassifier(random_state=0, n_jobs=-1)}
