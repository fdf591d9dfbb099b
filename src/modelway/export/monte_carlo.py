"""How far two right answers of a net in single precision may lie apart: its weights are rounded otherwise, and it is asked again.

A sum of products in single precision depends on the order of its terms, which the number of rows decides, in PyTorch and in
onnxruntime alike. What a net makes of that no formula tells for all modules. Monte Carlo arithmetic (D. S. Parker, 1997) does:
move what is rounded by a few units in the last place, at random, and see how far the result moves.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from modelway.export.families import is_single, key

DRAWS = 8
UNITS = 64 * 2.0**-24
"""As far as a weight is moved, of itself: what sums of some hundred terms, and activations, are rounded by, with room to spare."""


def moved(estimator: Any, scores: np.ndarray, asked: Callable[[], np.ndarray]) -> np.ndarray:
    """double[N, 1]: the furthest that any score of a row moves; 0 where no net of skorch in single precision is inside.

    `asked` gives the estimator's `scores` anew.
    """
    found = [net for net in _nets(estimator) if is_single(net)] if "skorch" in sys.modules else []
    far = np.zeros((len(scores), 1))
    for draw in range(DRAWS if found else 0):
        with _rounded_otherwise(found, draw):
            apart = np.abs(asked() - scores).max(axis=1, keepdims=True)
        far = np.fmax(far, apart)
    return np.where(np.isfinite(far), far, 0.0)


def _nets(part: Any) -> Iterator[Any]:
    """The trained nets in an estimator, however deep."""
    if isinstance(part, (list, tuple)) or (isinstance(part, np.ndarray) and part.dtype == object):
        for inner in part:
            yield from _nets(inner)
    elif key(part).startswith("skorch."):
        yield from [part] if hasattr(part, "module_") else []
    elif key(part).startswith("sklearn.") and hasattr(part, "__dict__"):
        for inner in vars(part).values():
            yield from _nets(inner)


@contextmanager
def _rounded_otherwise(nets: list[Any], seed: int) -> Iterator[None]:
    import torch

    random = torch.Generator().manual_seed(seed)
    kept = [(tensor, tensor.clone()) for net in nets for tensor in net.module_.state_dict().values()]
    try:
        for tensor, was in kept:
            if was.is_floating_point():
                share = torch.rand(was.shape, generator=random) * 2 - 1
                tensor.copy_(was * (1 + UNITS * share.to(was)))
        yield
    finally:
        for tensor, was in kept:
            tensor.copy_(was)
