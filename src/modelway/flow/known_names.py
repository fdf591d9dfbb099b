"""Names that were seen before, as 64-bit hashes: eight bytes each, quick to ask and to add to.

Among ten million names two share a hash with probability 3e-6; the hash is for this process alone.
"""

from dataclasses import dataclass, field

import numpy as np
import polars as pl


@dataclass(frozen=True, slots=True)
class Names:
    """A set that is never changed."""

    hashes: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    """uint64[n], ascending."""

    def lacks(self, names: pl.Series) -> np.ndarray:
        """bool[n]: which of the names are not in it."""
        asked = names.hash().to_numpy()
        if not len(self.hashes):
            return np.ones(len(asked), dtype=bool)
        places = np.searchsorted(self.hashes, asked)
        return np.asarray(self.hashes[np.minimum(places, len(self.hashes) - 1)] != asked)

    def plus(self, names: pl.Series) -> "Names":
        """With these names too."""
        new = np.unique(names.filter(pl.Series(self.lacks(names), dtype=pl.Boolean)).hash().to_numpy())
        return Names(np.insert(self.hashes, np.searchsorted(self.hashes, new), new)) if len(new) else self


NOBODY = Names()
