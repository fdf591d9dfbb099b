"""A PyTorch module in model.py: trained, proved, released, asked, and trained again to the same scores. Needs `tools/torch.sh`."""

import json

import numpy as np
import polars as pl
import pytest

from tests.support.projects import applicants, bank, ok
from tests.support.running import up

pytest.importorskip("skorch")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MODEL = """\
import torch
from skorch import NeuralNetClassifier
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler
from torch import nn


class Scorer(nn.Module):
    \"\"\"Two numbers, and a job as a place of its own, learned too (the first is for jobs never met).\"\"\"

    def __init__(self, width=16):
        super().__init__()
        self.job = nn.Embedding(5, 2)
        self.layers = nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Dropout(0.1), nn.Linear(width, 2))

    def forward(self, x):
        job = self.job(x[:, 2].long() + 1)
        return self.layers(torch.cat([x[:, :2].float(), job], dim=1))


def build(params):
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    jobs = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    parts = ColumnTransformer([("numbers", numbers, ["income", "debt"]), ("words", jobs, ["job"])])
    net = NeuralNetClassifier(
        Scorer, criterion=nn.CrossEntropyLoss, optimizer=torch.optim.Adam, lr=0.01, max_epochs=20, verbose=0
    )
    return make_pipeline(parts, net)
"""


def test_from_a_module_to_answers_and_trained_again_the_same(tmp_path):
    root = bank(tmp_path, model=MODEL)
    said = ok("run", "loans", cwd=root, timeout=400)
    assert "allowed 1e-06, single precision" in said
    assert "loans@1 is accepted" in said
    ok("release", "loans", cwd=root)
    rest = applicants(50, seed=9).drop("BAD")
    rest.write_csv(tmp_path / "score.csv")
    ok("predict", "loans", "--data", "../score.csv", "--out", "../local.csv", cwd=root)
    local = pl.read_csv(tmp_path / "local.csv")["probability_1"]
    assert local.n_unique() > 40
    with up(root):
        ok("predict", "loans", "--data", "../score.csv", "--out", "../served.csv", cwd=root)
    served = pl.read_csv(tmp_path / "served.csv")["probability_1"]
    np.testing.assert_allclose(served, local, rtol=0, atol=1e-6)
    again = json.loads(ok("reproduce", "loans@1", "--json", cwd=root, timeout=400))
    assert again["worst"] == 0
