"""A composition in modelway.yaml: what it has from the models that it asks, and what is wrong with it, by line."""

from pathlib import Path

import pytest

from modelway.errors import SpecError
from modelway.flow.opening import planned
from modelway.flow.sources import labels_topic
from modelway.spec.explain import MEMBERS, explain
from modelway.spec.load import load_spec
from modelway.workspace import Workspace, find_workspace

LOANS = """
model: loans
task: binary
data: {source: {files: [loans.csv]}, target: bad, key: id, event_time: at, entities: [customer], ignore: [city]}
contract:
  id: {type: string}
  at: {type: datetime}
  customer: {type: string}
  amount: {type: float, min: 0}
  income: {type: float}
  city: {type: string}
  bad: {type: int}
features:
  load: {expr: amount / income}
  many: {stat: count, by: customer, window: 7d}
"""
YOUNG = """
model: young
task: binary
data: {source: {files: [young.csv]}, target: bad, key: id, event_time: at}
contract: {id: {type: string}, at: {type: datetime}, amount: {type: float, max: 9}, age: {type: int}, bad: {type: int}}
"""
INCOME = """
model: income-model
task: regression
data: {source: {files: [income.csv]}, target: pay}
contract: {job: {type: string}, years: {type: float}, pay: {type: float}}
"""
FIRST = "model: pricing\ncompose:\n"
ROUTE = FIRST + "  route:\n    - {when: age < 25, ask: young}\n    - {ask: loans}\n"


@pytest.fixture
def place(tmp_path: Path):
    (tmp_path / ".modelway").mkdir()
    for name, text in (("loans", LOANS), ("young", YOUNG), ("income-model", INCOME)):
        put(tmp_path, name, text)
    return tmp_path


def put(root: Path, name: str, text: str) -> Path:
    path = root / "models" / name / "modelway.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def checked(root: Path, text: str = "") -> list[str]:
    """The lines of a refusal, as `modelway check` says them."""
    if text:
        put(root, "pricing", text)
    workspace = Workspace(find_workspace(root))
    with pytest.raises(SpecError) as caught:
        planned(workspace, "pricing")
    return [line.partition("modelway.yaml:")[2] for line in f"{caught.value.problem}; {caught.value.fix}".splitlines()]


def test_a_composition_has_task_data_contract_and_features_from_the_models_that_it_asks(place):
    spec = load_spec(put(place, "pricing", ROUTE))
    assert (spec.task, spec.data.target, spec.data.key, spec.data.entities) == ("binary", "bad", "id", ("customer",))
    assert spec.topic == "loans", "the rows are those of the model that answers what is left"
    assert labels_topic(spec) == "loans_labels"
    assert list(spec.contract) == ["id", "at", "customer", "amount", "income", "city", "bad", "age"]
    assert spec.contract["amount"].max is None, "that model's rule counts, where both have one"
    assert list(spec.features) == ["load", "many", "when age < 25"]
    assert spec.data.ignore == ("city",), "no model takes it"
    plan = planned(Workspace(find_workspace(place)), "pricing")
    assert [c.name for c in plan.columns] == ["amount", "income", "age", "load", "when age < 25", "many"]


def test_what_the_composition_says_itself_comes_first(place):
    own = "data: {source: asked, target: late}\ncontract: {amount: {type: float, max: 5}}\nfeatures: {load: {expr: amount}}\n"
    spec = load_spec(put(place, "pricing", ROUTE + own))
    assert (spec.topic, spec.data.target, spec.data.key) == ("asked", "late", "id")
    assert (spec.contract["amount"].max, spec.features["load"].expr) == (5, "amount")


def test_explain_says_what_comes_from_the_models(place):
    path = put(place, "pricing", ROUTE)
    rows = {row.key: row.origin for row in explain(load_spec(path), path)}
    assert rows["task"] == rows["contract.age"] == MEMBERS
    assert rows["compose.route[0]"] == "modelway.yaml:4"
    assert rows["training.holdout"] == "default"


def test_a_change_in_a_member_is_seen(place):
    put(place, "pricing", ROUTE)
    workspace = Workspace(find_workspace(place))
    assert "extra" not in workspace.spec("pricing").contract
    assert workspace.spec("pricing") is workspace.spec("pricing")
    put(place, "young", YOUNG.replace("age:", "extra: {type: float}, age:"))
    assert "extra" in workspace.spec("pricing").contract


def test_a_chain_takes_out_of_the_rows_what_its_steps_give(place):
    text = FIRST + "  chain: [{ask: income-model, as: income}, {expr: amount / income, as: load}, loans]\n"
    spec = load_spec(put(place, "pricing", text))
    assert spec.task == "binary"
    assert "income" not in spec.contract
    assert "pay" not in spec.contract
    assert {"job", "years"} <= set(spec.contract)
    assert list(spec.features) == ["many"]
    planned(Workspace(find_workspace(place)), "pricing")


def test_a_composition_may_ask_a_composition(place):
    put(place, "inner", ROUTE.replace("pricing", "inner"))
    put(place, "pricing", FIRST + "  ensemble: {inner: 2, loans: 1}\n")
    plan = planned(Workspace(find_workspace(place)), "pricing")
    assert "when age < 25" in [column.name for column in plan.columns]


@pytest.mark.parametrize(
    ("compose", "says"),
    [
        ("  route: [{ask: loan}]", "3: compose.route[0].ask: there is no model 'loan'; did you mean 'loans'?; there are"),
        ("  route: [{ask: pricing}]", "models ask one another in a circle: pricing → pricing"),
        ("  route: [{ask: young, when: age < 25}]", "3: compose.route[0].when: no rule holds for the other rows"),
        ("  route: [{ask: young}, {ask: loans}]", "3: compose.route[0]: has no `when`"),
        ("  route: [{ask: young, when: agee < 25}, {ask: loans}]", "3: compose.route[0].when: there is no column 'agee'"),
        ("  route: [{ask: young, when: bad == 1}, {ask: loans}]", "compose.route[0].when: 'bad == 1' uses the target"),
        ("  route: [{ask: young, when: city}, {ask: loans}]", "3: compose.route[0].when: 'city' is a word"),
        ("  route: []", "2: compose: has one of route, ensemble or chain"),
        ("  ensemble: {loans: 1, young: 0}", "3: compose.ensemble.young: 0 is no weight"),
        ("  ensemble: {loans: 1}", "3: compose.ensemble: has one model"),
        ("  ensemble: {loans: 1, young: a}", "compose.ensemble.young: 'a' is not a number"),
        ("  ensemble: {loans: 1, income-model: 1}", "income-model does a regression task, and loans a binary task"),
        ("  chain: [income-model, loans]\n  fallback: {ask: young, after: 0s}", "compose.fallback: after: 0 leaves no time"),
        ("  chain: [{expr: amount}, loans]", "compose.chain[0]: its answer has no name"),
        ("  chain: [{expr: amount, as: x}]", "2: compose: the chain asks no model"),
        ("  chain: [{expr: amount, ask: loans}]", "compose.chain[0]: a step is either `ask`, with a model, or `expr`"),
        ("  chain: [{expr: amont * 2, as: x}, loans]", "3: compose.chain[0]: there is no column 'amont'"),
        ("  chain: [{ask: young, as: income}, {ask: young, as: income}, loans]", "an earlier step is named 'income'"),
        ("  chain: [{ask: young, as: income}, loans]", "3: compose.chain: the feature load uses income, which is a step's"),
        ("  rout: [{ask: loans}]", "3: compose.rout: there is no such key; did you mean 'route'?"),
        ("  route: [{ask: loans}]\ndata: loans", "4: data: 'loans' is not keys with values"),
        ("  route: [{ask: loans}]\ncontract: [a]", "4: contract: ['a'] is not keys with values"),
        ("  chain: [loans, {expr: city}]", "3: compose.chain[1]: there is no column 'city'"),
        ("  chain: [loans, {expr: 'if(loans > 0, \"a\", \"b\")'}]", "is a word, and the answer is a number"),
        ("  route: [{ask: loans}]\nretraining: {on: [drift]}", "'drift' is no reason to put models together anew"),
        ("  route: [{ask: loans}]\ntraining: {refit: true}", "training.refit: a composition learns nothing"),
    ],
)  # fmt: skip
def test_mistakes_name_the_place_and_the_fix(place, compose, says):
    assert says in "\n".join(checked(place, FIRST + compose + "\n"))


def test_models_that_ask_one_another_are_told_the_circle(place):
    put(place, "inner", "model: inner\ncompose: {route: [{ask: pricing}]}\n")
    told = "\n".join(checked(place, FIRST + "  route: [{ask: inner}]\n"))
    assert "inner cannot be asked" in told
    assert "pricing → inner → pricing" in told


def test_a_member_that_predicts_something_else_wants_a_word(place):
    put(place, "young", YOUNG.replace("target: bad", "target: late").replace("bad:", "late:"))
    told = "\n".join(checked(place, ROUTE))
    assert "4: compose.route[0].ask: young predicts 'late', and loans 'bad'; say which column judges the whole" in told
    put(place, "pricing", ROUTE + "data: {target: bad}\n")
    planned(Workspace(find_workspace(place)), "pricing")


def test_a_member_that_computes_a_name_otherwise_is_refused(place):
    put(place, "young", YOUNG + "features: {load: {expr: amount / age}}\n")
    told = "\n".join(checked(place, ROUTE))
    assert "4: compose.route[0].ask: young computes load otherwise than here" in told


def test_a_member_whose_columns_nobody_gives_is_refused(place):
    told = "\n".join(checked(place, ROUTE + "data: {ignore: [age]}\n"))
    assert "4: compose.route[0].ask: young takes age, which nobody gives it" in told
