"""What parts of a spec must agree on."""

import pytest

from modelway.records import POSITIVE
from modelway.spec.load import load_spec
from modelway.spec.names import LATENCIES, METRICS, SEARCH_METRICS
from modelway.training import losses
from modelway.validation import gates, metrics
from tests.unit.spec.conftest import SOUND


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("  key: id", "  key: bad", "data.key: 'bad' is the target"),
        ("  key: id", "  ignore: [bad]", "data.ignore: 'bad' is the target"),
        ("  protected: [sex]", "  protected: [sex, bad]", "data.protected: 'bad' is the target"),
        ("  entities: [customer]", "  entities: [custmer]", "data.entities: 'custmer' is no column of the contract; did you mean"),
        ("  target: bad", "  target: baad", "did you mean 'bad'?"),
        ("  event_time: at", "  event_time: amount", "of type float in the contract"),
        ("  key: id", "  positive: 2", "data.positive: '2' is no class of bad"),
        ("[data.csv]", "[]", "data.source.files: names no file"),
        ("amount: {type: float, min: 0}", "_amount: {type: float}", "names that start with _"),
        ("{type: float, min: 0}", "{type: float, min: 2, max: 1}", "contract.amount.min: 2.0 is more than max, 1.0"),
        ("{type: float, min: 0}", "{type: float, max: ten}", "contract.amount.max: 'ten' is no float"),
        ("{type: float, min: 0}", "{type: float, on_breach: {mn: warn}}", "there is no rule 'mn'; did you mean 'min'?"),
        ("{type: float, min: 0}", "{type: float, references: people}", "'people' is no TABLE.COLUMN"),
        ("{type: float, min: 0}", "{type: float, distribution: {}}", "the distribution asks for nothing"),
        (
            "{type: float, min: 0}",
            "{type: float, distribution: {mean: {min: 1}, on_breach: quarantine}}",
            "contract.amount.distribution.on_breach: a rule of the whole batch blames no single row",
        ),
        ("{type: float, min: 0}", "{type: float, distribution: {mean: {}}}", "distribution.mean: has no bound"),
        ("{type: float, min: 0}", "{type: float, distribution: {quantiles: {most: {min: 1}}}}", "'most' is not a share"),
        ("{type: float, min: 0}", "{type: string, distribution: {mean: {min: 1}}}", "a string has no mean"),
        ("{type: float, min: 0}", "{type: float, on_breach: {min: wran}}", "'wran' is none of quarantine, reject_batch, warn"),
        ("{type: float, min: 0}", "{type: float, pattern: a}", "contract.amount.pattern: a float has no pattern"),
        ("{type: float, min: 0}", "{type: string, pattern: '('}", "no regular expression"),
        ("{type: float, min: 0}", "{type: string, min: 3}", "a string has no min"),
        ("{type: float, min: 0}", "{type: float, in: []}", "contract.amount.in: allows no value"),
        ("{type: datetime}", "{type: datetime, min: 3}", "contract.at.min: 3.0 is no datetime"),
        ("{type: datetime}", "{type: date, min: 2024-05-01, max: 2024-01-01}", "2024-05-01 is more than max"),
    ],
)  # fmt: skip
def test_columns_and_rules(lines_of, old, new, says):
    assert old in SOUND
    found = lines_of(SOUND.replace(old, new))
    assert len(found) == 1
    assert says in found[0]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("checks: [{}]", "checks[0]: has none, and a check has exactly one of expr, unique, change, freshness, volume"),
        ("checks: [{unique: [amount, custmer]}]", "checks[0].unique: there is no column 'custmer'; did you mean 'customer'?"),
        ("checks: [{unique: [amount]}]", "checks[0].unique: needs two columns"),
        ("checks: [{change: {of: sex, min: 0}}]", "checks[0].change.of: 'sex' is a string"),
        ("checks: [{change: {of: amount, by: x, min: 0}}]", "checks[0].change.by: there is no column 'x'"),
        ("checks: [{volume: {min: 5, max: 2}}]", "checks[0].volume.min: 5 is more than max, 2"),
        ("checks: [{volume: {min: 5}, on_breach: quarantine}]", "checks[0]: a rule of the whole batch blames no single row"),
        ("checks: [{expr: 'a > 1', severity: shout}]", "checks[0].severity: 'shout' is none of note, ticket, page"),
        ("features: {amount: {expr: '1'}}", "features.amount: a column of the data has this name"),
        ("features: {_x: {expr: '1'}}", "features._x: names that start with _"),
        ("features: {x: {stat: mean, of: amonut, window: 7d}}", "features.x.of: there is no column 'amonut'; did you mean"),
        ("features: {x: {stat: mean, of: sex, window: 7d}}", "'sex' is protected"),
        ("features: {x: {stat: count, by: customr, window: 7d}}", "features.x.by: there is no column 'customr'"),
        ("features: {x: {stat: count, by: [customer, bad], window: 7d}}", "'bad' is the target"),
        ("features: {x: {stat: count, window: 7d, delay: 7d}}", "features.x.window: the window is over before its delay"),
        ("training: {holdout: 0}", "leaves nothing to judge by"),
        ("training: {holdout: 100%}", "leaves nothing to learn from"),
        ("training: {search: {metric: auc}}", "'auc' is not searched for in a binary task"),
        ("training: {search: {folds: 1}}", "needs two folds"),
        ("training: {search: {trials: 0}}", "needs one trial"),
        ("decision: {threshold: by_rate}", "by_rate needs a rate"),
        ("decision: {rate: 5%}", "with threshold: by_rate only"),
        ("decision: {threshold: 7}", "7 is no probability"),
        ("decision: {threshold: 0.5, top_k: 5}", "stands beside another threshold"),
        ("decision: {cost: {false_negative: amuont}}", "'amuont' is no column; did you mean 'amount'?"),
        ("decision: {cost: {false_positive: -1}}", "-1 is less than nothing"),
        ("gates: [{metric: rco_auc, min: 0.7}]", "gates[0].metric: 'rco_auc' is no metric of a binary task; did you"),
        ("gates: [{metric: rmse, min: 0.7}]", "'rmse' is no metric of a binary task"),
        ("gates: [{metric: brier}]", "gates[0]: has no bound"),
        ("gates: [{metric: brier, min: 1, max: 0}]", "1 is more than max, 0"),
        ("gates: [{metric: brier, max: 1, margin: 1}]", "gates[0].margin"),
        ("gates: [{metric: brier, against: champion, max: 1}]", "stands beside min or max"),
        ("gates: [{metric: latency_p99_ms, against: champion}]", "latency_p99_ms is not compared"),
        ("gates: [{metric: four_fifths}]", "gates[0].by: is missing"),
        ("gates: [{metric: four_fifths, by: amount}]", "'amount' is no protected column"),
        ("serving: {python: {timeout: 0s}}", "serving.python.timeout: leaves no time"),
        ("serving: {python: {memory: 100}}", "serving.python.memory"),
        ("serving: {python: {mem: 300}}", "did you mean"),
        ("release: {canary: [5%, 50%]}", "does not end with all requests"),
        ("release: {canary: [50%, 50%, 100%]}", "does not grow"),
        ("release: {canary: [0, 1]}", "does not grow"),
        ("release: {canary: [], at_least: 90d}", "rolled back first"),
        ("release: {alpha: 0}", "release.alpha: 0 is no error rate"),
        ("release: {sticky: custmer}", "release.sticky: 'custmer' is no column; did you mean 'customer'?"),
        ("release: {promote_on: scores}", "release.promote_on: scores promote only within a margin"),
        ("release: {guard: {scores: 0}}", "release.guard.scores: 0 lets no score move"),
        ("release: {at_least: 50d}", "release.at_least: the shares are kept so long"),
        ("monitoring: {drift: {alpha: 1}}", "monitoring.drift.alpha: 1 is no error rate"),
        ("monitoring: {alerts: [slack]}", "monitoring.alerts[0]: 'slack' is no place"),
        ("retraining: {on: [drfit]}", "retraining.on[0]: 'drfit' is no reason to train; did you mean 'drift'?"),
        ("retraining: {on: [every day]}", "'every day' is no reason"),
        ("retraining: {at_most: often}", "'often' is no budget"),
    ],
)  # fmt: skip
def test_the_other_parts(lines_of, more, says):
    found = lines_of(f"{SOUND}{more}\n")
    assert len(found) == 1
    assert says in found[0]
    assert found[0].startswith("17: ")


def test_what_needs_an_event_time(lines_of):
    found = lines_of(
        SOUND.replace("  event_time: at\n", "")
        + "training: {split: time, gap: 1d, window: 1y}\nfeatures: {x: {stat: count, window: 7d}}\n"
    )
    assert [line.split(": ")[1] for line in found] == [
        "training.split",
        "training.gap",
        "training.window",
        "features.x",
    ]


def test_an_empty_contract(lines_of):
    head = SOUND[: SOUND.index("contract:")]
    assert "contract: is empty" in lines_of(head)[0]
    assert "contract: is empty" in lines_of(head + "contract: {}\n")[0]


def test_only_a_binary_task_has_an_operating_point(lines_of):
    text = SOUND.replace("task: binary", "task: multiclass")
    assert "needs a positive class" in lines_of(text + "decision: {threshold: by_cost}\n")[0]
    assert "needs a positive class" in lines_of(text + "decision: {top_k: 5}\n")[0]
    regression = SOUND.replace("task: binary", "task: regression").replace("target: bad", "target: bad\n  positive: 1")
    assert "a regression has no positive class" in lines_of(regression)[0]


def test_what_is_sound_is_not_refused(written):
    more = """\
features:
  mean_7d: {of: amount, stat: mean, by: customer, window: 7d}
  risk: {of: target, stat: mean, by: [customer], window: 28d, delay: 7d}
  all: {stat: count, window: 1d}
  double: {expr: amount * 2}
training: {search: {trials: 5 trials, metric: average_precision}, window: 2y, split: time}
decision: {threshold: by_cost, cost: {false_positive: 5, false_negative: amount}}
gates:
  - {metric: roc_auc, min: 0.8}
  - {metric: roc_auc, against: champion, margin: 0.005}
  - {metric: four_fifths, by: sex, warn_only: true}
  - {metric: latency_p99_ms, max: 10}
release: {shadow: 200 requests, canary: [5%, 25%, 100%], guard: {errors: +0.1 points, latency_p99: +20 %}}
monitoring: {alerts: [terminal, file, webhook:ops]}
retraining: {on: [drift, every 7d, new_labels 1000], at_most: 3 per 7d}
"""
    spec = load_spec(written(SOUND + more))
    assert spec.release.guard.errors == pytest.approx(0.001)
    assert spec.release.guard.latency_p99 == pytest.approx(0.2)
    assert spec.sticky == "customer"


def test_roles_may_be_columns_without_a_rule(written):
    text = "\n".join(line for line in SOUND.splitlines() if not line.startswith(("  id:", "  at:", "  sex:"))) + "\n"
    assert load_spec(written(text)).data.key == "id"


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", "anomaly"])
def test_the_names_of_metrics_are_those_of_validation_and_training(task):
    four_fifths = ("four_fifths",) if task in POSITIVE else ()
    assert set(METRICS[task]) == {*metrics.names(task), *gates.LATENCIES, *four_fifths}
    assert set(LATENCIES) == set(gates.LATENCIES)
    for name in SEARCH_METRICS[task]:
        assert callable(losses.loss_of(name, task))
