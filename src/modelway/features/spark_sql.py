"""A plan as a list of Spark SQL statements: views by name, of which the last one is the result.

Windows are a range join in buckets of time, then filtered aggregates at the decision's time, as in `ibis.py`; Spark has neither
as-of joins nor windows with distinct, and needs neither here. Targets are joined apart: a label counts for each version of its
event while both do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from modelway.expressions.sql import finite, quoted, sql, text
from modelway.expressions.values import DAY_US, LARGEST, SMALLEST, microseconds
from modelway.features.derived import TARGET, Expression, Joined, Window
from modelway.features.plan import Plan
from modelway.features.tables import TableWork

_FOREVER = 2**62
_PLACED = "struct(e._us as at, e._came as arrived, e._key as key)"
_PLACE = "_arrived, _partition, _offset, _index"


@dataclass(frozen=True, slots=True)
class View:
    name: str
    text: str


def statements(work: TableWork) -> list[View]:
    """The views `rows`, `told` and `table_N` (see `sources`) must be there; `result` is what is wanted."""
    plan = work.plan
    views = [
        View("versions", _versions(work)),
        View("labels", _labels(work)),
        View("outcomes", _outcomes(work)),
        View("d0", _decisions(work)),
    ]
    last = "d0"

    def then(columns: str, more: str = "") -> None:
        nonlocal last
        name = f"d{len(views)}"
        views.append(View(name, f"select {last}.*{', ' if columns else ''}{columns} from {last} {more}"))
        last = name

    for n, (by, windows) in enumerate(plan.groups.items()):
        group = _Group(plan, by, windows, n)
        views += group.views()
        then(", ".join(f"{group.final(window)} as {quoted(window.name)}" for window in windows), group.joins(last))
    for n, joins in enumerate(plan.lookups.values()):
        views.append(View(f"held{n}", _held(work, joins)))
        made = [f"{_joined(join, f'held{n}.found')} as {quoted(join.name)}" for join in joins]
        then(", ".join(made), f"left join held{n} on {last}._row = held{n}._row")
    for expression in plan.expressions:
        if expression.late:
            then(f"{_expression(expression, plan)} as {quoted(expression.name)}")
    columns = [_rendered(column.name, plan) for column in plan.columns]
    views.append(View("result", f"select _key, _at, _arrived, _target, {', '.join(columns)} from {last}"))
    return views


def sources(work: TableWork) -> dict[str, tuple[str, int]]:
    """By view the place and version of each table that is read."""
    found = {"rows": (work.rows.place, work.rows.version)}
    if work.labels is not None:
        found["told"] = (work.labels.place, work.labels.version)
    names = [name for name in work.plan.tables if name in work.tables]
    return found | {_table(work, name): (work.tables[name].place, work.tables[name].version) for name in names}


def _table(work: TableWork, name: str) -> str:
    return f"table_{work.plan.tables.index(name)}"


def _us(moment: str) -> str:
    return f"unix_micros({moment})"


def _known(work: TableWork) -> str:
    return f"{_us('_arrived')} <= {microseconds(work.as_of)}"


def _versions(work: TableWork) -> str:
    """Every version of every row that ever counts, with its cells and the arrival of the next one."""
    plan = work.plan
    until = f"coalesce(lead({_us('_arrived')}) over (partition by _key order by {_PLACE}), {_FOREVER})"
    raw = ", ".join(f"{_raw(i.name, plan)} as {quoted(i.name)}" for i in plan.inputs)
    own = f", as_word({quoted(work.target)}) as _own" if work.target else ", cast(null as string) as _own"
    clock = f", _at as {quoted(plan.event_time)}" if plan.event_time in plan.natures else ""
    inner = (
        f"select _key, _at, _arrived, _partition, _offset, _index, {_us('_at')} as _us, {_us('_arrived')} as _came,"
        f" {until} as _until{clock}{', ' if raw else ''}{raw}{own} from rows where {_known(work)}"
    )
    for expression in plan.expressions:
        if not expression.late:
            inner = f"select *, {_expression(expression, plan)} as {quoted(expression.name)} from ({inner})"
    return inner


def _raw(name: str, plan: Plan) -> str:
    """A stored column in its nature, as `values.py` reads single values; the driver casts what is of another type."""
    return {"number": "as_number", "word": "as_word", "moment": "as_moment"}[plan.natures[name]] + f"({quoted(name)})"


def _labels(work: TableWork) -> str:
    """Each label of each key while it counts: key, since, until, label (text), target (number)."""
    parts = []
    if work.labels is not None:
        parts.append(f"select _key, label, {_PLACE}, 1 as sent from told where {_known(work)}")
    if work.target:
        own = f"as_word({quoted(work.target)})"
        parts.append(
            f"select _key, {own} as label, {_PLACE}, 0 as sent from rows where {own} is not null and {_known(work)}"
        )
    if not parts:
        parts.append(f"select _key, cast(null as string) as label, {_PLACE}, 0 as sent from rows where false")
    order = f"_arrived, sent, {_PLACE}"
    until = f"coalesce(lead({_us('_arrived')}) over (partition by _key order by {order}), {_FOREVER})"
    return (
        f"select _key, {_us('_arrived')} as since, {until} as until, label, {_target(work.plan)} as target"
        f" from ({' union all '.join(parts)})"
    )


def _outcomes(work: TableWork) -> str:
    """The newest label of each key that was sent."""
    if work.labels is None:
        return "select _key, cast(null as string) as label from rows where false"
    return f"select _key, max_by(label, struct({_PLACE})) as label from told where {_known(work)} group by _key"


def _target(plan: Plan) -> str:
    if plan.positive:
        told = f"cast(trim(label) = {text(plan.positive)} as double)"
        return f"(case when trim(label) != '' then {told} end)"
    yes, no = "('yes', 'y', 'true', 'positive')", "('no', 'n', 'false', 'negative')"
    word = "lower(trim(label))"
    return f"(case when {word} in {yes} then 1d when {word} in {no} then 0d else try_cast(trim(label) as double) end)"


def _decisions(work: TableWork) -> str:
    """One row a key: as it first came, of files its newest correction, as of when it first arrived; matured ones."""
    plan = work.plan
    last = f"partition by _key order by {_PLACE.replace(',', ' desc,')} desc"
    counts = last if work.together else f"partition by _key order by {_PLACE}"
    chosen = (
        f"select *, row_number() over ({counts}) as _counts, min(_arrived) over (partition by _key) as _first,"
        f" first_value(_own) over ({last}) as _last_own from versions"
    )
    wait = 0 if work.matured_after is None else round(work.matured_after.total_seconds() * 1e6)
    ripe = "" if work.matured_after is None else f" and coalesce(_us, _came) + {wait} <= {microseconds(work.as_of)}"
    early = [expression.name for expression in plan.expressions if not expression.late]
    clock = [plan.event_time] if plan.event_time in plan.natures else []
    cells = [quoted(name) for name in (*(i.name for i in plan.inputs), *clock, *early)]
    known, upto = (0, plan.lag_us) if work.together else (plan.lag_us, 0)
    return (
        f"select v._key as _row, v._key, v._at, v._first as _arrived, v._us as _t,"
        f" {_us('v._first')} - {known} as _known, v._us - {upto} as _upto, {_us('v._first')} as _mine,"
        " coalesce(l.label, v._last_own) as _target"
        f"{''.join(f', v.{cell}' for cell in cells)}"
        f" from ({chosen}) v left join outcomes l on l._key = v._key where v._counts = 1{ripe}"
    )


def _expression(expression: Expression, plan: Plan) -> str:
    if expression.source:
        return f"{function_name(expression)}({', '.join(quoted(name) for name in expression.uses)})"
    made = sql(plan.meaning(expression).tree, plan.natures)
    return f"nullif({made}, '')" if expression.kind == "word" else f"cast({made} as double)"


def function_name(expression: Expression) -> str:
    """The name under which the driver registers a Python function."""
    return "python_" + expression.name.encode().hex()


def _rendered(name: str, plan: Plan) -> str:
    moment = plan.natures[name] == "moment"
    made = f"cast({_us(quoted(name))} as double) / {DAY_US}" if moment else quoted(name)
    return f"{made} as {quoted(name)}"


def _seen(of: str, plan: Plan, where: str) -> str:
    """A cell as windows see it: words as they are, numbers within bounds."""
    cell = f"{where}.{quoted(of)}"
    if plan.natures[of] == "word":
        return cell
    number = f"cast({_us(cell)} as double) / {DAY_US}" if plan.natures[of] == "moment" else cell
    return f"(case when abs({number}) < {LARGEST!r}d then case when abs({number}) >= {SMALLEST!r}d then {number} else 0d end end)"


@dataclass(frozen=True)
class _Group:
    """All windows by the same entities: pairs of decisions and events, and their aggregates."""

    plan: Plan
    by: Sequence[str]
    windows: Sequence[Window]
    number: int

    @property
    def _plain(self) -> list[Window]:
        return [window for window in self.windows if window.of != TARGET]

    @property
    def _of_targets(self) -> list[Window]:
        return [window for window in self.windows if window.of == TARGET]

    def views(self) -> Iterable[View]:
        if self._plain:
            yield View(f"pairs{self.number}", self._pairs(self._plain))
            yield View(f"seen{self.number}", self._aggregated(self._plain, f"pairs{self.number}"))
        if self._of_targets:
            yield View(f"judged{self.number}", self._judged())
            yield View(f"targets{self.number}", self._aggregated(self._of_targets, f"judged{self.number}"))

    def joins(self, last: str) -> str:
        parts = [f"seen{self.number}"] * bool(self._plain) + [f"targets{self.number}"] * bool(self._of_targets)
        return " ".join(f"left join {part} on {last}._row = {part}._row" for part in parts)

    def _columns(self) -> dict[str, str]:
        return {of: f"x{n}" for n, of in enumerate(dict.fromkeys(w.of for w in self._plain if w.of))}

    def _met(self, windows: Sequence[Window], events: str) -> str:
        """Decisions and events of one entity that are near in time: each decision looks into two buckets."""
        widest, nearest = max(w.reach_us for w in windows), min(w.delay_us for w in windows)
        buckets = f"explode(array(_t div {widest}, _t div {widest} - 1))"
        same = " and ".join(["e._bucket = d._bucket", *(f"e.{quoted(name)} = d.{quoted(name)}" for name in self.by)])
        return (
            f"(select *, {buckets} as _bucket from d0 where _t is not null) d"
            f" join (select *, _us div {widest} as _bucket from {events} where _until > _came) e on {same}"
            f" and e._us > d._t - {widest} and e._us <= d._t - {nearest}"
            f" and e._us <= d._upto and e._came <= d._known and e._until > d._known and e._key != d._key"
        )

    def _pairs(self, windows: Sequence[Window]) -> str:
        theirs = "".join(f", {_seen(of, self.plan, 'e')} as {name}" for of, name in self._columns().items())
        mine = "".join(f", {_seen(of, self.plan, 'd')} as {name}" for of, name in self._columns().items())
        pairs = (
            f"select d._row, d._t - e._us as age, false as mine, {_PLACED} as place{theirs}"
            f" from {self._met(windows, 'versions')}"
        )
        if self.plan.same_instant != "counts":
            return pairs
        there = " and ".join(["d._t is not null", *(f"d.{quoted(name)} is not null" for name in self.by)])
        own = f"select d._row, 0L as age, true as mine, struct(d._t as at, d._mine as arrived, d._key as key) as place{mine}"
        return f"{pairs} union all {own} from d0 d where {there}"

    def _judged(self) -> str:
        windows = self._of_targets
        bounded = f"case when abs(e._told) >= {SMALLEST!r}d then e._told else 0d end"
        number = f"(case when abs(e._told) < {LARGEST!r}d then {bounded} end)"
        cells = ", ".join(f"v.{quoted(name)}" for name in self.by)
        labelled = (
            f"(select v._key, v._us, greatest(v._came, l.since) as _came, least(v._until, l.until) as _until, l.target as _told"
            f"{', ' if cells else ''}{cells} from versions v join labels l on l._key = v._key)"
        )
        return (
            f"select d._row, d._t - e._us as age, false as mine, {_PLACED} as place, {number} as x"
            f" from {self._met(windows, labelled)}"
        )

    def _aggregated(self, windows: Sequence[Window], pairs: str) -> str:
        made = [part for window in windows for part in self._parts(window)]
        return f"select _row, {', '.join(dict.fromkeys(made))} from {pairs} group by _row"

    def _parts(self, window: Window) -> list[str]:
        x = "x" if window.of == TARGET else self._columns().get(window.of, "")
        closed = self.plan.same_instant == "counts" or window.delay_us > 0
        inside = f"age < {window.reach_us} and age {'>=' if closed else '>'} {window.delay_us}"
        if x:
            inside += f" and {x} is not null"
        if window.stat == "ratio":
            inside += " and not mine"
        name = self._name(window)

        def filtered(aggregate: str) -> str:
            return f"{aggregate} filter (where {inside})"

        many = f"{filtered('count(*)')} as {name}_n"
        match window.stat:
            case "count":
                return [many]
            case "distinct":
                value = x if self.plan.natures.get(window.of) == "word" else f"{x} + 0d"
                return [many, f"size({filtered(f'collect_set({value})')}) as {name}_v"]
            case "last":
                return [many, f"{filtered(f'max_by({x}, place)')} as {name}_v"]
            case "std":
                return [many, f"{filtered(f'stddev_samp({x})')} as {name}_v"]
            case "min" | "max":
                return [many, f"{filtered(f'{window.stat}({x})')} as {name}_v"]
            case _:
                return [many, f"{filtered(f'sum({x})')} as {name}_v"]

    def _name(self, window: Window) -> str:
        return f"_w{self.number}_{self.windows.index(window)}"

    def final(self, window: Window) -> str:
        """The window's column from its aggregates, null where missing."""
        name = self._name(window)
        count, value = f"{name}_n", f"cast({name}_v as double)"
        there = f"{count} > {1 if window.stat == 'std' else 0}"
        made = {"count": f"cast({count} as double)", "mean": f"{value} / {count}"}.get(window.stat, value)
        if window.stat == "ratio":
            mine = _seen(window.of, self.plan, "_own").replace("_own.", "")
            made = f"(case when {value} != 0 then {finite(f'({mine} / ({value} / {count}))')} end)"
        empty = window.default if window.default is not None else 0.0 if window.stat in ("count", "distinct") else None
        otherwise = "" if empty is None else f", {empty!r}d"
        return f"coalesce(case when {there} then {made} end{otherwise})"


def _held(work: TableWork, joins: Sequence[Joined]) -> str:
    """For each decision the statement that holds, as a struct."""
    first = joins[0]
    if first.table not in work.tables:
        fields = ", ".join(f"cast(null as {_kind(join)}) as {quoted(join.column)}" for join in joins)
        return f"select '' as _row, struct({fields}) as found where false"
    read = ", ".join(
        f"{'as_word' if j.kind == 'word' else 'as_number'}({quoted(j.column)}) as {quoted(j.column)}"
        for j in {join.column: join for join in joins}.values()
    )
    times = f"{_us('_at')} as since, {_us('_arrived')} as arrived"
    source = f"{_table(work, first.table)} where {_known(work)}"
    thing = f"as_word({quoted(first.key)}) as thing"
    table = f"(select {thing}, {times}, struct({read}) as told, _partition, _offset, _index from {source})"
    on = f"d.{quoted(first.on)}"
    return (
        f"select d._row, max_by(s.told, struct(s.since, s.arrived, s._partition, s._offset, s._index)) as found"
        f" from d0 d join {table} s on s.thing = {on} and s.since <= d._t - {first.delay_us} and s.since <= d._upto"
        " and s.arrived <= d._known"
        " group by d._row"
    )


def _kind(join: Joined) -> str:
    return "string" if join.kind == "word" else "double"


def _joined(join: Joined, found: str) -> str:
    value = f"{found}.{quoted(join.column)}"
    return value if join.default is None else f"coalesce({value}, {join.default!r}d)"
