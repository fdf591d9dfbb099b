"""Evidently's drift preset, by default and with the Kolmogorov–Smirnov test; and scipy's own D, to compare values."""

import json
import sys

import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset
from scipy.stats import ks_2samp

from benchmarks.measure import tell, timed


def main() -> None:
    asked = json.loads(sys.argv[1])
    reference, current = (pd.read_parquet(file) for file in asked["files"])

    def run(**method: str) -> None:
        Report([DataDriftPreset(**method)]).run(current, reference).dict()

    tell(
        {
            "default": timed(run, asked["repetitions"]),
            "ks": timed(lambda: run(method="ks"), asked["repetitions"]),
            "ks_distances": [
                float(ks_2samp(reference[c], current[c], method="asymp").statistic) for c in reference.columns
            ],
        }
    )


if __name__ == "__main__":
    main()
