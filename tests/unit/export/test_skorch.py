"""PyTorch modules in skorch: the graph gives what the trained module gives, whatever its layers. Needs `tools/torch.sh`."""

import copy

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler

from modelway.errors import ExportError, ParityError
from modelway.export.build import export_estimator
from modelway.export.monte_carlo import moved
from modelway.export.parity import check_parity
from tests.unit.export.frames import COLUMNS, NUMBERS, frame, run, targets
from tests.unit.export.test_families import prepared, proved

torch = pytest.importorskip("torch")
skorch = pytest.importorskip("skorch")
nn = torch.nn
pytestmark = pytest.mark.timeout(900)

TABLE, HELD = frame(500, 1), frame(200, 2)
Y = targets(TABLE)
NUMERIC = COLUMNS[: len(NUMBERS)]
ARRAY = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())


class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


class Net(nn.Module):
    """Layers by name, on seven columns."""

    def __init__(self, out=1, layers=("relu",), width=12, double=False):
        super().__init__()
        made = [nn.Linear(7, width)]
        for name in layers:
            made += PARTS[name](width)
        self.layers, self.is_double = nn.Sequential(*made, nn.Linear(width, out)), double
        if double:
            self.double()

    def forward(self, x):
        return self.layers(x if self.is_double else x.float())


PARTS = {
    "relu": lambda w: [nn.Linear(w, w), nn.ReLU()],
    "tanh": lambda w: [nn.Linear(w, w), nn.Tanh()],
    "gelu": lambda w: [nn.Linear(w, w), nn.GELU()],
    "silu": lambda w: [nn.SiLU()],
    "elu": lambda w: [nn.ELU()],
    "leaky": lambda w: [nn.LeakyReLU(0.1)],
    "softplus": lambda w: [nn.Softplus()],
    "dropout": lambda w: [nn.Dropout(0.3)],
    "batch": lambda w: [nn.BatchNorm1d(w)],
    "layer": lambda w: [nn.LayerNorm(w)],
    "residual": lambda w: [Residual(nn.Sequential(nn.Linear(w, w), nn.ReLU(), nn.Linear(w, w)))],
}


class Shaped(nn.MSELoss):
    """Training gives a target double[N]; the module answers float[N, 1]."""

    def forward(self, made, wanted):
        return super().forward(made.reshape(-1), wanted.to(made.dtype))


class Logits(nn.BCEWithLogitsLoss):
    def forward(self, made, wanted):
        return super().forward(made, wanted.to(made.dtype))


class Probabilities(nn.BCELoss):
    def forward(self, made, wanted):
        return super().forward(made, wanted.to(made.dtype))


def net(kind, **more):
    plain = {"max_epochs": 8, "verbose": 0, "optimizer": torch.optim.Adam, "lr": 0.01, "train_split": None}
    return getattr(skorch, kind)(**{"module": Net} | plain | more)


def classifier(classes, **more):
    return net("NeuralNetClassifier", **{"criterion": nn.CrossEntropyLoss, "module__out": classes} | more)


def regressor(**more):
    return net("NeuralNetRegressor", **{"criterion": Shaped} | more)


def scaled(model):
    return TransformedTargetRegressor(model, transformer=StandardScaler())


def gated(model, task, **more):
    torch.manual_seed(0)
    exported, proof = proved(model, task, **more)
    assert exported.hints.stock == ()
    return exported, proof


MODELS = {
    "two logits": ("binary", lambda: classifier(2)),
    "one logit": ("binary", lambda: net("NeuralNetBinaryClassifier", criterion=Logits)),
    "three classes": ("multiclass", lambda: classifier(3, module__layers=("gelu", "batch", "dropout"))),
    "regression": ("regression", lambda: scaled(regressor(module__layers=("tanh", "layer", "residual")))),
    "calibrated": ("multiclass", lambda: CalibratedClassifierCV(classifier(3), method="isotonic", cv=2)),
    "vote": (
        "binary",
        lambda: VotingClassifier([("net", classifier(2)), ("line", LogisticRegression(max_iter=500))], voting="soft"),
    ),
    "stack": (
        "binary",
        lambda: StackingClassifier([("net", classifier(2)), ("line", LogisticRegression(max_iter=500))], cv=2),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_models(name):
    task, made = MODELS[name]
    exported, proof = gated(prepared(made()), task)
    assert exported.exactness == "single"
    assert proof.parity.worst <= proof.parity.tolerance == 1e-6
    assert proof.parity.rows > 500


class Given(nn.Module):
    """Answers probabilities itself, as skorch's default criterion takes them, and out of training something more."""

    def __init__(self, out=3):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(7, 8), nn.Tanh(), nn.Linear(8, out))

    def forward(self, x):
        made = torch.softmax(self.inner(x.float()), -1)
        return made if self.training else (made, x)


class Once(nn.Module):
    """One probability a row, as BCELoss wants it."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(7, 1)

    def forward(self, x):
        return torch.sigmoid(self.inner(x.float()))


def halved(x):
    return torch.softmax(x / 2, -1)


@pytest.mark.parametrize(
    ("task", "made"),
    [
        ("multiclass", lambda: net("NeuralNetClassifier", module=Given)),
        ("binary", lambda: net("NeuralNetBinaryClassifier", module=Once, criterion=Probabilities)),
        ("multiclass", lambda: classifier(3, predict_nonlinearity=halved)),
    ],
    ids=["probabilities, and a second answer", "one probability", "a function of the user's"],
)
def test_what_skorch_makes_of_an_answer(task, made):
    gated(prepared(made()), task)


def test_a_module_in_double_is_exact_in_double():
    model = prepared(classifier(2, module__double=True, module__layers=("relu", "tanh", "batch", "layer")))
    exported, proof = gated(model, "binary")
    assert exported.exactness == "double"
    assert proof.parity.worst <= 1e-9
    assert not moved(model, np.zeros((1, 2)), lambda: np.ones((1, 2))).any()


class Places(nn.Module):
    """A word as a learned place: code −1 stands for words never met."""

    def __init__(self, out=3):
        super().__init__()
        self.place, self.last = nn.Embedding(4, 3), nn.Linear(3 + len(NUMBERS), out)

    def forward(self, x):
        place = self.place(x[:, 0].long() + 1)
        return self.last(torch.cat([place, x[:, 1:].float()], 1))


def test_a_word_becomes_a_learned_place():
    known = [["DE", "FR", "Österreich"]]
    words = OrdinalEncoder(categories=known, handle_unknown="use_encoded_value", unknown_value=-1)
    parts = ColumnTransformer([("w", words, ["country"]), ("n", ARRAY, list(NUMBERS))])
    gated(make_pipeline(parts, classifier(3, module=Places)), "multiclass")


def test_equal_nets_give_equal_bytes_that_tell_nothing_of_the_machine():
    model = prepared(classifier(2)).fit(TABLE, Y["binary"])
    first, second = (export_estimator(model, COLUMNS, "binary").onnx for _ in range(2))
    assert first == second
    assert b".py" not in first
    assert b"site-packages" not in first


def test_training_goes_on_as_before_the_export():
    """The export and the gate leave the net's weights as they were."""
    model = prepared(classifier(2)).fit(TABLE, Y["binary"])
    before = copy.deepcopy(model[-1].module_.state_dict())
    exported = export_estimator(model, COLUMNS, "binary")
    check_parity(exported.onnx, model, COLUMNS, "binary", HELD, exactness="single", seed=0, hints=exported.hints)
    assert all(torch.equal(value, before[name]) for name, value in model[-1].module_.state_dict().items())


def test_a_graph_of_other_weights_does_not_pass_the_gate():
    """The room that rounding is given is far smaller than a weight that is wrong by a thousandth."""
    model = prepared(classifier(2)).fit(TABLE, Y["binary"])
    exported = export_estimator(model, COLUMNS, "binary")
    with torch.no_grad():
        model[-1].module_.layers[0].weight.mul_(1.001)
    with pytest.raises(ParityError, match="differs"):
        check_parity(exported.onnx, model, COLUMNS, "binary", HELD, exactness="single", seed=0, hints=exported.hints)


class Two(Net):
    def forward(self, x, other):
        return self.layers(x.float())


class Branching(Net):
    def forward(self, x):
        made = self.layers(x.float())
        return made if made.sum() > 0 else -made


class Crowd(Net):
    def forward(self, x):
        x = x.float()
        return self.layers(x - x.mean(0))


class Drawing(Net):
    def forward(self, x):
        return self.layers(x.float() + torch.randn(7))


class Gamma(Net):
    def forward(self, x):
        return self.layers(torch.special.gammaln(x.abs().float() + 1))


REFUSED = {
    Two: "does not take one tensor",
    Branching: "exporter refuses|otherwise than among others",
    Crowd: "alone otherwise than among others",
    Drawing: "alone otherwise than among others",
    Gamma: "exporter refuses",
}


def initialised(module, **more):
    """As it leaves training, whatever the module may be."""
    made = classifier(2, module=module, **more).initialize()
    made.classes_inferred_ = np.array([0, 1])
    return made


SEVEN = tuple(type(NUMERIC[0])(f"x{i}", "number") for i in range(7))


@pytest.mark.parametrize("module", REFUSED, ids=lambda module: module.__name__)
def test_modules_that_have_no_graph_are_refused_with_their_place_and_a_way_out(module):
    with pytest.raises(ExportError, match=REFUSED[module]) as refused:
        export_estimator(initialised(module), SEVEN, "binary")
    assert "step model (NeuralNetClassifier)" in refused.value.problem
    assert refused.value.fix


def test_an_answer_of_the_wrong_width_is_refused():
    with pytest.raises(ExportError, match=r"gives \[3, 5\] for 3 rows, where \[3, 2\]"):
        export_estimator(initialised(Net, module__out=5), SEVEN, "binary")


def test_what_the_runtime_cannot_do_in_double_is_refused():
    with pytest.raises(ExportError, match="onnxruntime does not run") as refused:
        export_estimator(initialised(Net, module__double=True, module__layers=("gelu",)), SEVEN, "binary")
    assert ".double()" in refused.value.fix


def test_a_frame_that_goes_straight_into_a_net_is_refused():
    """skorch hands its columns on by name."""

    class Named(Net):
        def forward(self, **columns):
            return self.layers(torch.cat(list(columns.values()), 1).float())

    with pytest.raises(ExportError, match="does not take one tensor") as refused:
        export_estimator(initialised(Named), SEVEN, "binary")
    assert "StandardScaler" in refused.value.fix


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(data=st.data())
def test_random_architectures(data):
    task = data.draw(st.sampled_from(["binary", "multiclass", "regression"]))
    layers = data.draw(st.lists(st.sampled_from(sorted(PARTS)), min_size=1, max_size=6))
    more = {"module__layers": tuple(layers), "module__width": data.draw(st.sampled_from([1, 5, 33]))}
    torch.manual_seed(data.draw(st.integers(0, 1000)))
    made = regressor(**more) if task == "regression" else classifier(2 if task == "binary" else 3, **more)
    gated(prepared(scaled(made) if task == "regression" else made), task)


def test_rows_alone_and_among_others_get_the_same_scores():
    model = prepared(classifier(2)).fit(TABLE, Y["binary"])
    onnx = export_estimator(model, COLUMNS, "binary").onnx
    many = run(onnx, HELD, COLUMNS)
    alone = np.concatenate([run(onnx, HELD[i : i + 1], COLUMNS) for i in range(50)])
    np.testing.assert_allclose(alone, many[:50], rtol=0, atol=1e-6)
