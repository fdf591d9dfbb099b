"""Generated code gives what the plain interpreter gives, on pasts with gaps, ties, labels, words and the row itself."""

from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.expressions.values import NAN
from modelway.features.evaluator import compile_windows
from modelway.features.lookback import windows_of
from modelway.features.past import FOREVER, Entry, pack, read
from modelway.features.plan import plan_of
from tests.unit.features.interpreter import fill
from tests.unit.features.worlds import NUMBERS, WORDS, spec_of, windows

HOUR_US = 3_600_000_000
NOW = 100 * HOUR_US


@st.composite
def entries(draw: st.DrawFn) -> list[Entry]:
    found = []
    for n in range(draw(st.integers(0, 12))):
        at, late = NOW - draw(st.integers(-1, 13)) * HOUR_US, draw(st.sampled_from([0, 0, HOUR_US]))
        x, w = draw(NUMBERS), draw(WORDS)
        values = {**({} if x is None or abs(x) > 1e90 else {"x": x}), **({"w": w} if w else {})}
        labels = draw(st.sampled_from([(), ((at + HOUR_US, 1.0),), ((at, 0.0),)]))
        found.append(Entry(at, at + late, f"k{n % 7}{n}", FOREVER, values, labels))
    return sorted(found, key=lambda entry: entry[:3])


@settings(max_examples=400, deadline=None)
@given(
    declared=windows(),
    instant=st.sampled_from(["counts", "does_not_count"]),
    there=entries(),
    split=st.integers(0, 12),
    own=st.tuples(NUMBERS, WORDS),
    key=st.sampled_from(["k00", "k33", "other"]),
    came=st.sampled_from([NOW, NOW + 2 * HOUR_US, None]),
)
def test_generated_code_gives_what_the_interpreter_gives(declared, instant, there, split, own, key, came):
    plan = plan_of(spec_of(declared, instant))
    slots = {name: slot for slot, name in enumerate(plan.natures)}
    for by, asked in plan.groups.items():
        compiled = windows_of(by, asked, slots, plan)
        parts = [pack(part) for part in (there[:split], there[split:]) if part]
        for past in (None, read(parts, NOW - compiled.widest, NOW - compiled.nearest, came)):
            cells = [NAN] * len(slots)
            for name, value in (("x", NAN if own[0] is None else own[0]), ("w", own[1] or "")):
                if name in slots:
                    cells[slots[name]] = value
            other = list(cells)
            fill(compiled, cells, key, NOW, came, past)
            compile_windows(compiled)(other, key, NOW, came, past)
            assert repr(other) == repr(cells)
