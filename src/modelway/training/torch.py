"""PyTorch in training: one seed and one thread within a fit, and nets of skorch stored by value.

Imported only where torch, or skorch, has been.
"""

import copyreg
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cloudpickle


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within: torch's generator starts from `seed`, and torch uses one thread; both are put back afterwards."""
    import torch

    state, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_rng_state(state)
        torch.set_num_threads(threads)


def pickled(estimator: Any) -> bytes:
    """As `cloudpickle.dumps`, for estimators with nets of skorch in them.

    skorch pickles its modules by the names of their classes, which are gone where model.py is; here they go by value, in
    the form that skorch reads.
    """
    from skorch import NeuralNet

    class Pickler(cloudpickle.Pickler):
        def reducer_override(self, obj: Any) -> Any:
            if not isinstance(obj, NeuralNet):
                return super().reducer_override(obj)
            names = tuple(obj.cuda_dependent_attributes_)
            own = {name: value for name, value in vars(obj).items() if name.startswith(names)}
            state = {name: value for name, value in vars(obj).items() if name not in own}
            state["__cuda_dependent_attributes__"] = cloudpickle.dumps(own)
            return copyreg.__newobj__, (type(obj),), state  # type: ignore[attr-defined]

    out = io.BytesIO()
    Pickler(out).dump(estimator)
    return out.getvalue()
