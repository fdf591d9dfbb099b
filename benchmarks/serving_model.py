"""The model that all servers serve: 30 numbers, a hundred trees of LightGBM, trained and released by Modelway itself."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bank import MODEL, TARGET, Bank
from benchmarks.wrk import Load

COLUMNS = tuple(f"f{number:02d}" for number in range(30))
PATH = f"/v2/models/{MODEL}/infer"
CODE = '''"""A hundred boosted trees."""

from lightgbm import LGBMClassifier


def build(params):
    return LGBMClassifier(n_estimators=100, random_state=0, verbosity=-1, n_jobs=1)
'''


@dataclass(frozen=True)
class Served:
    """The workspace with its champion, and the champion's graph."""

    bank: Path
    graph: Path


def released(folder: Path, rows: int) -> Served:
    """Train, release, and wait until the version is champion."""
    bank = Bank(folder)
    numbers = np.random.default_rng(1).normal(size=(rows, len(COLUMNS))).round(4)
    score = numbers[:, :8].sum(axis=1) + np.sin(3 * numbers[:, 8])
    with (folder / "train.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, TARGET])
        writer.writerows([*row, "yes" if s > 0 else "no"] for row, s in zip(numbers.tolist(), score, strict=True))
    bank.started()
    (folder / "bank" / "models" / MODEL / "model.py").write_text(CODE)
    bank.run()
    bank.type("release", "release", MODEL)
    with bank.up():
        pass  # the control loop has made it champion
    hidden = folder / "bank" / ".modelway"
    (told,) = hidden.glob("mlflow/artifacts/**/manifest.json")
    digest = json.loads(told.read_text())["graph"]
    return Served(folder / "bank", hidden / "artifacts" / digest[:2] / digest[2:])


def loads(folder: Path, many: int) -> dict[str, Load]:
    """Requests by form: 64 different ones of one row, 4 of many rows."""
    singles = [numbers(number, 1) for number in range(64)]
    crowds = [numbers(number, many) for number in range(4)]
    return {
        "matrix": Load(PATH, _kept(folder, "matrix", [_json([_tensor("input-0", one, one.shape)]) for one in singles])),
        "columns": Load(PATH, _kept(folder, "columns", [_json(_named(one)) for one in singles])),
        "binary": _binary(folder, "binary", singles),
        "many": _binary(folder, "many", crowds),
    }


def numbers(seed: int, rows: int) -> np.ndarray:
    """Rows that are the same for the same seed."""
    return np.random.default_rng(1_000 + seed).normal(size=(rows, len(COLUMNS))).round(4)


def _named(rows: np.ndarray) -> list[dict[str, Any]]:
    return [_tensor(name, rows[:, number], (len(rows),)) for number, name in enumerate(COLUMNS)]


def _tensor(name: str, values: np.ndarray, shape: tuple[int, ...]) -> dict[str, Any]:
    return {"name": name, "datatype": "FP64", "shape": list(shape), "data": values.ravel().tolist()}


def _json(inputs: list[dict[str, Any]]) -> bytes:
    return json.dumps({"inputs": inputs}).encode()


def _binary(folder: Path, name: str, asked: list[np.ndarray]) -> Load:
    """The binary tensor extension, there and back: both probabilities come as raw bytes."""
    raw = asked[0].astype("<f8").nbytes
    tensor = {"name": "input-0", "datatype": "FP64", "shape": list(asked[0].shape)}
    tensor["parameters"] = {"binary_data_size": raw}
    outputs = [{"name": f"probability_{word}", "parameters": {"binary_data": True}} for word in ("no", "yes")]
    head = json.dumps({"inputs": [tensor], "outputs": outputs}).encode()
    files = _kept(folder, name, [head + one.astype("<f8").tobytes() for one in asked])
    return Load(PATH, files, "application/octet-stream", len(head))


def _kept(folder: Path, name: str, bodies: list[bytes]) -> tuple[Path, ...]:
    made = []
    for number, body in enumerate(bodies):
        made.append(folder / f"{name}_{number}.body")
        made[-1].write_bytes(body)
    return tuple(made)
