"""Which function writes which transformer; a class that is not here goes through the stock converter."""

from collections.abc import Callable
from typing import Any

from modelway.export import (
    asked,
    bins,
    functions,
    numbers,
    optbinning,
    polynomials,
    powers,
    quantiles,
    splines,
    target_encoder,
    words,
)
from modelway.export.block import Block
from modelway.export.graph import GraphBuilder

Transformer = Callable[[GraphBuilder, Any, Block], Block]

TRANSFORMERS: dict[str, Transformer] = {
    "sklearn.SimpleImputer": numbers.imputer,
    "sklearn.MissingIndicator": numbers.indicator,
    "sklearn.StandardScaler": numbers.standard_scaler,
    "sklearn.RobustScaler": numbers.robust_scaler,
    "sklearn.MinMaxScaler": numbers.min_max_scaler,
    "sklearn.MaxAbsScaler": numbers.max_abs_scaler,
    "sklearn.Normalizer": numbers.normalizer,
    "sklearn.Binarizer": bins.binarizer,
    "sklearn.KBinsDiscretizer": bins.kbins,
    "sklearn.PolynomialFeatures": polynomials.polynomial,
    "sklearn.SplineTransformer": splines.spline,
    "sklearn.FunctionTransformer": functions.known,
    "sklearn.PowerTransformer": powers.power,
    "sklearn.QuantileTransformer": quantiles.quantile,
    "sklearn.OneHotEncoder": words.one_hot,
    "sklearn.OrdinalEncoder": words.ordinal,
    "sklearn.TargetEncoder": target_encoder.target_encoder,
    **dict.fromkeys(asked.ENCODERS, asked.encoder),
    "optbinning.BinningProcess": optbinning.binning_process,
    "optbinning.Scorecard": optbinning.points,
}
