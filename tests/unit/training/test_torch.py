"""Nets of skorch in training: the same twice from one seed, stored with their classes. Needs `tools/torch.sh`."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modelway.training.estimate import fit_once
from modelway.training.fit import _pickled
from modelway.training.user_code import load_user_code

torch = pytest.importorskip("torch")
pytest.importorskip("skorch")

MODEL = """\
from skorch import NeuralNetClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2))

    def forward(self, x):
        return self.layers(x.float())


def build(params):
    net = NeuralNetClassifier(Net, criterion=nn.CrossEntropyLoss, max_epochs=3, verbose=0)
    return make_pipeline(StandardScaler(), net)
"""
ELSEWHERE = """\
import pickle, sys
import numpy as np, pandas as pd
estimator = pickle.load(open(sys.argv[1], "rb"))
rows = pd.read_parquet(sys.argv[2])
np.save(sys.argv[3], estimator.predict_proba(rows))
"""
ROWS = pd.DataFrame(np.random.default_rng(0).normal(size=(120, 2)), columns=["a", "b"])
TARGET = (ROWS["a"] > 0).astype(int).to_numpy()


def project(place: Path) -> Path:
    place.mkdir()
    (place / "model.py").write_text(MODEL)
    return place


def test_one_seed_gives_the_same_net_twice_and_leaves_torch_as_it_was(tmp_path):
    code = load_user_code(project(tmp_path / "loans"))
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    first, again, other = (fit_once(code, {}, ROWS, TARGET, "binary", seed, []) for seed in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_num_threads() == threads
    np.testing.assert_array_equal(first.predict_proba(ROWS), again.predict_proba(ROWS))
    assert np.abs(first.predict_proba(ROWS) - other.predict_proba(ROWS)).max() > 1e-3


def test_a_net_is_stored_with_its_class_and_answers_where_model_py_is_not(tmp_path):
    code = load_user_code(project(tmp_path / "loans"))
    estimator = fit_once(code, {}, ROWS, TARGET, "binary", 1, [])
    (tmp_path / "estimator").write_bytes(_pickled(estimator, code))
    (tmp_path / "loans" / "model.py").unlink()
    ROWS.to_parquet(tmp_path / "rows")
    places = [str(tmp_path / name) for name in ("estimator", "rows", "scores.npy")]
    subprocess.run([sys.executable, "-c", ELSEWHERE, *places], check=True, timeout=200, cwd=tmp_path)
    np.testing.assert_array_equal(np.load(places[-1]), estimator.predict_proba(ROWS))
