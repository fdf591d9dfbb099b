"""What is equal to Python to the last bit and what only nearly, and who may not be fed with the latter.

A logarithm differs in its last bit between numpy and ONNX Runtime, and between two processors. A sum does not mind. But
HistGradientBoosting puts thresholds on values of the training data, so that a last bit sends all rows of that value the other
way: 2,627 of 30,000 real loans behind a normal quantile. Bins, and numbers that are categories, mind in the same way. Trees of
other libraries have their thresholds halfway between values.
"""

from typing import Any

from modelway.errors import ExportError
from modelway.export.block import Block
from modelway.export.functions import STEPPED, exact

COMPARING = (
    *(
        "KBinsDiscretizer",
        "Binarizer",
        "OneHotEncoder",
        "OrdinalEncoder",
        "TargetEncoder",
        "BinningProcess",
        "Scorecard",
    ),
    *("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"),
)


def rounds(step: Any) -> bool:
    """Whether a transformer's output may differ from Python's in the last bits."""
    name = type(step).__name__
    if name == "FunctionTransformer":
        return not exact(step)
    return name in ("PowerTransformer", "Normalizer") or (
        name == "QuantileTransformer" and step.output_distribution == "normal"
    )


def check(step: Any, columns: Block) -> None:
    """Raises ExportError for a step that compares values which are not equal to the last bit."""
    name = type(step).__name__
    stepped = name == "FunctionTransformer" and getattr(step.func, "__name__", "") in STEPPED
    if (name in COMPARING or stepped) and any(slot.rounded for slot in columns):
        raise ExportError(
            f"{name} would decide on the last bit of a logarithm, a power or a normal quantile before it",
            "leave that function out, since trees and bins need none that keeps the order of values, or use LightGBM",
        )
