"""What a feature may be, and what is refused when it is declared: with the place, the reason and the way out."""

import pytest

from modelway.errors import DataError, SpecError
from modelway.features.functions import compile_function
from modelway.features.plan import Plan, plan_of
from modelway.flow.opening import planned
from modelway.spec.load import load_spec
from modelway.spec.model import Spec
from tests.unit.features.worlds import spec_of

SOURCE = "import math\n\nSIZES = {'a': 1}\n\n\ndef size(x, w):\n    return None if x is None else x + SIZES.get(w, 0)\n"


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        ({"stat": "sum", "of": "xx", "by": "who", "window": "1h"}, "did you mean 'x'"),
        ({"stat": "sum", "of": "w", "by": "who", "window": "1h"}, "words, which have no sum"),
        ({"stat": "ratio", "of": "w", "by": "who", "window": "1h"}, "words, which have no ratio"),
        ({"stat": "ratio", "of": "target", "by": "who", "window": "5h", "delay": "1h"}, "own target is not known"),
        ({"stat": "mean", "of": "target", "by": "who", "window": "5h"}, "needs a `delay`"),
        ({"expr": "y + 1"}, "uses the target 'y'"),
        ({"expr": "xx + 1"}, "did you mean 'x'"),
        ({"expr": "at in ['2024-01-01']"}, "in takes numbers or words, and this is a time"),
        ({"python": "f.py:size", "uses": ["x", "ww"], "source": SOURCE}, "did you mean 'w'"),
        ({"python": "f.py:size", "uses": ["x", "y"], "source": SOURCE}, "uses the target 'y'"),
        ({"python": "f.py:sizes", "uses": ["x"], "source": SOURCE}, "no function 'sizes' .there: size"),
        ({"join": {"table": "t", "on": "whom", "column": "c", "valid_from": "v"}}, "did you mean 'who'"),
        (
            {"join": {"table": "labels", "on": "who", "column": "c", "valid_from": "v"}},
            "own rows, predictions or labels",
        ),
        (
            {"join": {"table": "world", "on": "who", "column": "c", "valid_from": "v"}},
            "own rows, predictions or labels",
        ),
        ({"join": {"table": "t", "on": "who", "column": "c", "valid_from": "v"}, "default": 1.0}, "no default number"),
    ],
)
def test_what_cannot_be_known_or_meant_is_refused(feature, said):
    with pytest.raises(SpecError, match=said) as caught:
        plan_of(spec_of({"made": feature}))
    assert caught.value.problem.startswith("features.made: ")
    assert caught.value.fix


def test_an_unbounded_window_is_refused_when_it_is_read():
    with pytest.raises(ValueError, match="grow for ever"):
        spec_of({"made": {"stat": "count", "by": "who"}})


def late(features):
    given = spec_of(features).model_dump(mode="json", by_alias=True)
    given["contract"]["x"]["available_after"] = "2h"
    return Spec.model_validate(given)


def test_a_column_that_arrives_after_the_decision_is_seen_by_delayed_windows_alone():
    for feature in ({"expr": "x + 1"}, {"stat": "sum", "of": "x", "by": "who", "window": "5h", "delay": "1h"}):
        with pytest.raises(SpecError, match=r"known only 2h after the event \(contract.x.available_after\)"):
            plan_of(late({"made": feature}))
    plan = plan_of(late({"made": {"stat": "sum", "of": "x", "by": "who", "window": "5h", "delay": "2h"}}))
    assert [column.name for column in plan.columns] == ["w", "made"]
    assert [(i.name, i.later) for i in plan.inputs if i.later] == [("x", True)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("import random", "random may not be imported"),
        ("import os.path", "os.path may not be imported"),
        ("from . import other", "may not be imported"),
        ("open('x')", "only imports, constants and functions"),
        ("def f(x):\n    return open('x')", "open is not allowed"),
        ("def f(x):\n    return hash(x)", "hash is not allowed"),
        ("import datetime\ndef f(x):\n    return datetime.datetime.now()", ".now is not allowed"),
        ("N = 0\ndef f(x):\n    global N\n    N += 1", "depends on its arguments alone"),
        ("def f(x):\n    return x.__class__", ".__class__ is not allowed"),
        ("def f(x:", "not Python"),
    ],
)
def test_a_function_that_depends_on_more_than_its_arguments_is_refused_with_its_line(line, said):
    with pytest.raises(SpecError, match=said) as caught:
        compile_function(line, "f", "number", "made")
    assert "line " in caught.value.problem


def declared(source, uses=("x",), **more):
    return plan_of(spec_of({"made": {"python": "f.py:f", "uses": list(uses), "source": source, **more}}))


@pytest.mark.parametrize(
    ("source", "uses", "said"),
    [
        (
            "def f(a, b):\n    return a",
            ["x"],
            r"line 1 .*f\(a, b\) is given one column, those of `uses`: missing .*'b'",
        ),
        ("\ndef f(a):\n    return a", ["x", "w"], r"line 2 .*f\(a\) is given 2 columns, .*too many"),
        ("def f(a, *, b):\n    return a", ["x"], "missing a required.* argument: 'b'"),
    ],
)
def test_a_function_that_takes_other_columns_than_it_is_given_is_refused(source, uses, said):
    with pytest.raises(SpecError, match=said) as caught:
        declared(source, uses)
    assert "`uses`" in caught.value.fix


def test_a_function_may_take_any_number_of_columns_and_have_defaults_that_do_not_change():
    assert declared("def f(*a):\n    return len(a)", ["x", "w"])
    assert declared("def f(a, b=(1, 2), c=None):\n    return a")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("N = [0]\ndef f(x):\n    N[0] += 1\n    return N[0]", r"line 3 .*N\[0\] changes N, which all calls share"),
        ("N = {}\ndef f(x):\n    N.update(a=x)\n    return 1", r"line 3 .*N\.update\(a=x\) changes N"),
        ("def f(x):\n    f.n = x\n    return 1", r"line 2 .*f\.n changes f"),
        ("import math\ndef f(x):\n    del math.pi\n    return 1", r"math\.pi changes math"),
        ("def f(x, seen=[]):\n    return 1", r"line 1 .*the default \[\] is one and the same for all calls"),
        ("def f(x, *, seen=dict()):\n    return 1", r"the default dict\(\) is one"),
        ("N = []\ndef f(x, seen=N):\n    return 1", "the default N is one"),
        ("N = iter(range(9))\ndef f(x):\n    return next(N, None)", "line 1 .*N: a value that is used up"),
        (
            "import statistics\ndef f(x):\n    return statistics.random.random()",
            "statistics.random is the module random",
        ),
        (
            "from statistics import random\ndef f(x):\n    return 1",
            "random is the module random, which may not be used",
        ),
        (
            "import statistics as s\ndef f(x):\n    return s.NormalDist().samples(1)[0]",
            "line 3 .*samples is not allowed",
        ),
        ("from decimal import getcontext\ndef f(x):\n    return 1", "getcontext is not allowed"),
    ],
)
def test_what_shows_memory_or_chance_in_the_text_is_refused_with_its_line(source, said):
    with pytest.raises(SpecError, match=said) as caught:
        declared(source)
    assert caught.value.fix


@pytest.mark.parametrize(
    "source",
    [
        "N = [0]\ndef f(x):\n    n = N\n    n[0] += 1\n    return n[0]",
        "N = {}\ndef f(x):\n    n = N\n    return n.setdefault('last', x)",
        "def make():\n    n = [0]\n    return lambda: n.append(0) or len(n)\nG = make()\ndef f(x):\n    return G()",
        "import statistics\ndef f(x):\n    s = statistics\n    return s.random.random()",
    ],
)
def test_memory_that_the_text_does_not_show_is_found_by_a_trial(source):
    with pytest.raises(SpecError, match=r"f\(.*\) gave .*, and .* when the same rows were computed again") as caught:
        declared(source)
    assert "arguments alone" in caught.value.fix


def test_what_a_function_has_no_answer_for_is_no_reason_to_refuse_it():
    assert declared("def f(w):\n    return {'q': 1}[w]", ["w"])
    assert declared(
        "SIZES = [3, 1]\ndef f(x):\n    own = list(SIZES)\n    own.sort()\n    own[0] = 2\n    return own[0]"
    )
    assert declared("def f(at):\n    return at.time().hour if at else None", ["at"])


def test_a_trial_uses_what_the_contract_allows():
    given = spec_of({"made": {"python": "f.py:f", "uses": ["x", "w"], "source": ""}}).model_dump(
        mode="json", by_alias=True
    )
    given["contract"]["x"] |= {"min": 1_000.0, "max": 2_000.0}
    given["contract"]["w"]["in"] = ["long word", "another"]
    given["features"]["made"]["source"] = (
        "N = []\ndef f(x, w):\n    n = N\n    if x is not None and x >= 1000 and w == 'another':\n"
        "        n.append(x)\n    return len(n)"
    )
    with pytest.raises(SpecError, match="computed again in another order"):
        plan_of(Spec.model_validate(given))


def test_a_file_that_fails_when_it_is_loaded_is_refused_with_its_line():
    with pytest.raises(SpecError, match=r"features.made: line 2 of its Python file: ZeroDivisionError"):
        declared("A = 0\nB = 1 / A\ndef f(x):\n    return x")


def test_a_function_is_given_none_for_missing_and_its_failures_name_the_feature():
    call = compile_function(SOURCE, "size", "number", "made")
    assert (call([1.0, "a"]), call([2.0, ""])) == (2.0, 2.0)
    assert call([float("nan"), "a"]) != call([float("nan"), "a"])
    words = compile_function("def f(x):\n    return x", "f", "number", "made")
    with pytest.raises(DataError, match=r"features.made: f\('b'\): TypeError: gave 'b', and `gives` says a number"):
        words(["b"])


def test_the_function_is_kept_with_the_plan_by_its_text():
    spec = spec_of({"made": {"python": "f.py:size", "uses": ["x", "w"], "source": SOURCE}})
    again = Plan.from_plain(plan_of(spec).to_plain())
    assert again == plan_of(spec)
    assert again.expressions[0].source == SOURCE
    changed = spec_of({"made": {"python": "f.py:size", "uses": ["x", "w"], "source": SOURCE + "\n# another"}})
    assert plan_of(changed) != again


def test_a_plan_of_an_older_manifest_still_loads():
    plain = plan_of(spec_of({"n": {"stat": "count", "by": "who", "window": "1h"}})).to_plain()
    for key in ("joins", "lag_us"):
        del plain[key]
    for one in plain["inputs"]:
        one.pop("later", None)
    assert Plan.from_plain(plain).windows[0].name == "n"


def project(tmp_path, source):

    from modelway.workspace import create_workspace

    workspace = create_workspace(tmp_path / "bank", "")
    folder = workspace.places.project("cards")
    folder.mkdir(parents=True)
    (folder / "modelway.yaml").write_text(
        "model: cards\ntask: binary\ndata: {source: cards, target: fraud, event_time: at}\n"
        "contract:\n  at: {type: datetime}\n  amount: {type: float}\n"
        "features:\n  made: {python: features.py:made, uses: [amount]}\n"
    )
    if source is not None:
        (folder / "features.py").write_text(source)
    return workspace


def test_a_file_that_is_not_there_is_named_with_its_line(tmp_path):
    workspace = project(tmp_path, None)
    with pytest.raises(SpecError, match=r"modelway.yaml:8: features.made.python: features.py cannot be read"):
        load_spec(workspace.places.spec("cards"))


def test_what_is_wrong_in_the_file_is_told_with_both_places(tmp_path):
    workspace = project(tmp_path, "def made(amount):\n    return open(amount)\n")
    with pytest.raises(SpecError, match=r"modelway.yaml:8: features.made: line 2 of its Python file: open"):
        planned(workspace, "cards")


def test_a_change_of_the_python_file_is_a_change_of_the_spec(tmp_path):
    workspace = project(tmp_path, "def made(amount):\n    return amount\n")
    before = workspace.spec("cards")
    (workspace.places.project("cards") / "features.py").write_text("def made(amount):\n    return 2 * amount\n")
    after = workspace.spec("cards")
    assert before != after
    assert "2 *" in after.features["made"].source
    workspace.close()
