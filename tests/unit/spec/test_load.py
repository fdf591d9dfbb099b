"""What load_spec takes, and what it says about each mistake."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.errors import NotFoundError, SpecError
from modelway.spec.load import load_spec, load_stack
from modelway.spec.model import Files, Spec
from modelway.spec.stack import Stack
from tests.unit.spec.conftest import SOUND

EXAMPLES = Path(__file__).parents[3] / "examples"


def changed(old: str, new: str) -> str:
    assert old in SOUND
    return SOUND.replace(old, new)


def test_a_sound_spec_has_its_values_and_defaults(written):
    spec = load_spec(written(SOUND + "training: {holdout: 25%, gap: 7d}\nretraining: {on: [drift, every 7d]}\n"))
    assert isinstance(spec.data.source, Files)
    assert spec.data.source.files == ("data.csv",)
    assert spec.training.holdout == 0.25
    assert spec.training.gap == timedelta(days=7)
    assert spec.retraining.on == ("drift", "every 7d")
    assert spec.release.canary == (0.05, 0.25, 1.0)
    assert spec.contract["bad"].allowed == (0, 1)


def test_text_is_text_where_text_is_wanted(written):
    text = changed("  target: bad", "  target: 2024\n  positive: yes").replace("bad: {type: int, in: [0, 1]}",
        "2024: {type: string, in: [on, yes, 01, 2024-01-01]}")  # fmt: skip
    spec = load_spec(written(text.replace("key: id", "key: 12").replace("  id:", "  12:")))
    assert (spec.data.target, spec.data.positive, spec.data.key) == ("2024", "yes", "12")
    assert spec.contract["2024"].allowed == ("on", "yes", "01", "2024-01-01")


def test_a_key_without_a_value_is_a_key_left_out_but_params_keep_none(written):
    spec = load_spec(written(SOUND + "training: {params: {max_depth: null}}\nfeatures:\nretraining:\n  # nothing\n"))
    assert spec.training.params == {"max_depth": None}
    assert spec.features == {}
    assert spec.retraining == Spec.model_fields["retraining"].default


def test_all_mistakes_come_at_once_in_the_order_of_the_file(lines_of):
    text = (
        changed("task: binary", "task: binray")
        .replace("entities:", "entites:")
        .replace("type: float, min: 0", "typ: float")
    )
    found = lines_of(text + "trainig: {}\ndecision: {threshold: by_costs}\ndecision: {}\n")
    assert [(line.split(":")[0], line.split(": ")[1]) for line in found] == [
        ("2", "task"), ("8", "data.entites"), ("16", "contract.amount.typ"), ("17", "trainig"),
        ("18", "decision"), ("18", "decision.threshold"),
    ]  # fmt: skip
    assert "did you mean 'binary'?" in found[0]
    assert "did you mean 'entities'?" in found[1]
    assert "did you mean 'type'?" in found[2]
    assert "did you mean 'training'?" in found[3]
    assert "twice, in lines 18 and 19" in found[4]
    assert "did you mean 'by_cost'?" in found[5]


def test_a_mistake_in_form_does_not_hide_one_in_meaning(lines_of):
    found = lines_of(SOUND + "training: {holdout: many}\ngates: [{metric: roc_acu, min: 1}]\n")
    assert [line.split(": ")[1] for line in found] == ["training.holdout", "gates[0].metric"]


def test_one_mistake_has_its_own_fix(written):
    with pytest.raises(SpecError) as caught:
        load_spec(written(SOUND + "training: {hold_out: 10%}\n"))
    assert caught.value.problem.endswith(
        "modelway.yaml:17: training.hold_out: there is no such key; did you mean 'holdout'?"
    )
    assert caught.value.fix == "write holdout"
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("training: {holdout: 120%}", "17: training.holdout: '120%' is not between 0 and 1"),
        ("training: {gap: soon}", "'soon' is not a duration; write for example 7d"),
        (
            "features: {x: {stat: count, window: 1000000y}}",
            "17: features.x.window: '1000000y' is longer than 100y, the longest duration",
        ),
        ("features: {x: {stat: count, window: 9d, delay: 36501d}}", "features.x.delay: '36501d' is longer than 100y"),
        ("training: {gap: 99999999999999999999y}", "training.gap: '99999999999999999999y' is longer than 100y"),
        ("training: {seed: 1.5}", "training.seed: 1.5 is not a whole number"),
        ("gates: [{metric: brier, max: .inf}]", "gates[0].max: inf is not a finite number"),
        ("training: 5", "training: 5 is not keys with values"),
        ("gates: {metric: brier}", "gates: {'metric': 'brier'} is not a list"),
        ("gates:\n- min: 1", "18: gates[0].metric: is missing: roc_auc"),
        ("monitoring: {alerts: file}", "monitoring.alerts: 'file' is not a list"),
        ("monitoring: {performance: perhaps}", "'perhaps' is not true or false"),
        ("matured_after: 7d", "'matured_after' belongs under data.labels"),
        ("event_time: at", "'event_time' belongs under data"),
        ("features: {x: {stat: mean}}", "features.x: `window` is missing"),
        ("features: {x: {expr: a, stat: mean}}", "has either `expr`, or `stat`"),
        ("owner: [a]", "owner: ['a'] is not text"),
        ("training: {params: 3}", "training.params: 3 is not keys with values"),
    ],
)
def test_a_value_that_does_not_fit_is_shown_with_what_does(lines_of, more, says):
    found = lines_of(SOUND + more + "\n")
    assert len(found) == 1
    assert says in found[0]


def test_a_wrong_source_is_told_once(lines_of):
    assert [line.split("; ")[0] for line in lines_of(changed("files:", "file:"))] == [
        "4: data.source.file: there is no such key",
    ]
    assert "data.source: 5.5" not in lines_of(changed("{files: [data.csv]}", "[a]"))[0]
    assert "is none of text, keys with values" in lines_of(changed("{files: [data.csv]}", "[a]"))[0]


def test_a_file_without_keys(lines_of):
    assert lines_of("- a\n") == ["1: the file must hold keys with values"]
    assert len(lines_of("# nothing\n")) == 3


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("**/modelway.yaml")), ids=lambda path: path.parts[-3])
def test_the_specs_of_the_examples_are_sound(path):
    assert load_spec(path).contract


def test_a_missing_file(tmp_path):
    with pytest.raises(NotFoundError):
        load_spec(tmp_path / "modelway.yaml")


def test_the_name_is_that_of_the_folder(tmp_path):
    path = tmp_path / "models" / "credit" / "modelway.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(SOUND)
    with pytest.raises(SpecError, match="'loans' stands in the folder 'credit'"):
        load_spec(path)


def test_the_stack_is_all_defaults_when_it_says_nothing(tmp_path):
    path = tmp_path / "stack.yaml"
    assert load_stack(path) == Stack()
    path.write_text("# serving: {port: 1}\n")
    assert load_stack(path) == Stack()
    path.write_text("serving: {port: 0}\nstate: postgresql://x\n")
    assert load_stack(path).serving.port == 0
    assert load_stack(path).state == "postgresql://x"


@pytest.mark.parametrize(
    ("endpoint", "says"),
    [
        ("collector:4318", "such as http://collector:4318"),
        ("ftp://collector", "such as http://collector:4318"),
        ("http://me:word@collector:4318", "MODELWAY_TRACING_AUTHORIZATION"),
        ("https://word@collector", "MODELWAY_TRACING_AUTHORIZATION"),
    ],
)
def test_where_traces_go_is_an_address_without_a_secret(tmp_path, endpoint, says):
    path = tmp_path / "stack.yaml"
    path.write_text(f"tracing: {{endpoint: '{endpoint}'}}\n")
    with pytest.raises(SpecError, match=says) as error:
        load_stack(path)
    assert "word" not in str(error.value)
    path.write_text("tracing: {endpoint: 'https://collector:4318/otlp', sample: 0.5}\n")
    assert load_stack(path).tracing.sample == 0.5


def test_the_stack_names_its_mistakes(tmp_path):
    path = tmp_path / "stack.yaml"
    path.write_text("serving: {prot: 1}\ntick_seconds: 0\n")
    with pytest.raises(SpecError) as caught:
        load_stack(path)
    first, second = caught.value.problem.splitlines()
    assert "stack.yaml:1: serving.prot" in first
    assert "'port'" in first
    assert "stack.yaml:2: tick_seconds: 0: should be greater than 0" in second


LINES = SOUND.splitlines(keepends=True)
SIGN = st.sampled_from(":{}[]-, #x1\t\"'&*!%")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(LINES) - 1), st.integers(0, 25), SIGN), max_size=4))
def test_whatever_is_typed_is_read_or_refused_with_a_line(tmp_path_factory, typed):
    lines = list(LINES)
    for number, column, sign in typed:
        lines[number] = lines[number][:column] + sign + lines[number][column:]
    path = tmp_path_factory.mktemp("spec") / "modelway.yaml"
    path.write_text("".join(lines))
    assert told(path) or isinstance(load_spec(path), Spec)


def told(path):
    try:
        load_spec(path)
    except SpecError as error:
        return bool(error.fix) and all(line.startswith(f"{path}:") for line in error.problem.splitlines())
    return False
