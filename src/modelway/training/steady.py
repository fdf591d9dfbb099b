"""Equal training twice: one seed for every source of chance, one thread, and warnings gathered instead of printed."""

import random
import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np


@contextmanager
def steady(seed: int, notes: list[str] | None = None) -> Iterator[None]:
    """Within: the global generators of Python, NumPy and torch start from `seed`; OpenMP, BLAS and torch use one thread.

    The generators' states are put back afterwards. Warnings are not printed; each different one is added to `notes` once.
    """
    from threadpoolctl import threadpool_limits

    if "lightgbm" in sys.modules:
        from modelway.training.lightgbm import quiet

        quiet()
    python, arrays = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        with _torch(seed), threadpool_limits(limits=1), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
    finally:
        random.setstate(python)
        np.random.set_state(arrays)
        if notes is not None:
            told = (f"{w.category.__name__}: {str(w.message).strip()}" for w in caught)
            notes += [note for note in dict.fromkeys(told) if note not in notes]


def _torch(seed: int) -> AbstractContextManager[None]:
    if "torch" not in sys.modules:
        return nullcontext()
    from modelway.training.torch import seeded

    return seeded(seed)


def settle(estimator: Any, seed: int) -> Any:
    """Give every part that has a `random_state` or `n_jobs` and leaves it open (None) the seed, and one job."""
    if not hasattr(estimator, "get_params"):
        return estimator
    wanted = {"random_state": seed, "n_jobs": 1}
    open_params = {
        name: wanted[last]
        for name, value in estimator.get_params(deep=True).items()
        if value is None and (last := name.rpartition("__")[2]) in wanted
    }
    if open_params:
        estimator.set_params(**open_params)
    return estimator
