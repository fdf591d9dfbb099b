"""From a CSV file to predictions, typed as a user types it: where the time goes, and the AUC beside untuned LightGBM's."""

import io
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.bank import KEY, MODEL, TARGET, Bank, rows, write
from benchmarks.figures import Figure, Result, Target, figure
from benchmarks.measure import Spread
from benchmarks.report import alone

COMMANDS = ("init", "new", "run", "release", "up, model answers", "predict", "status")
AUC = Target(at_least=-0.005)


@dataclass(frozen=True)
class Walk:
    """One repetition: seconds by command, by step, and by part of a second run; the areas under the curve by name."""

    seconds: dict[str, float]
    steps: dict[str, float]
    aucs: dict[str, tuple[float, float]]
    accepted: bool
    again: dict[str, float]


def measure(quick: bool) -> Result:
    """6,000 rows by all seven commands, scored on 6,000 others; 30,000 rows as far as the registered version."""
    everything = rows()
    random.Random(0).shuffle(everything)
    small, score, repetitions = (2_000, 400, 1) if quick else (6_000, 6_000, 3)
    paths = [walk(everything[:small], everything[small : small + score]) for _ in range(repetitions)]
    figures = _rows(f"{small:,} rows", paths)
    whole = Spread.of([sum(p.seconds[c] for c in COMMANDS) for p in paths])
    figures.insert(0, figure(f"{small:,} rows: CSV to predictions, seven commands", whole, "s", Target(at_most=120)))
    if not quick:
        figures += _rows("30,000 rows", [walk(everything, []) for _ in range(repetitions)])
    notes = (
        "The data: UCI, default of credit-card clients. Each command is a process of its own, its imports counted; `up` is counted "
        "until the released model answers. The steps are those that `run --json` reports; beside them the command takes its start, "
        "imports, the checks before a run is opened, and MLflow's record of it. The second run in the same workspace is timed part "
        "by part; it need not make MLflow's database.",
        "Untuned LightGBM is `LGBMClassifier()` of the same version on the raw columns, without the identifier. Holdout: learns "
        "from the rows that the product learnt from, judged on the rows that it held out. Score file: rows that neither has seen; "
        "once LightGBM learns from the product's training part, once from the whole file.",
    )
    return Result("from a CSV file to a version, and to predictions", tuple(figures), notes)


def walk(train: list[dict[str, str]], score: list[dict[str, str]]) -> Walk:
    """In an empty folder; without rows to score it ends with the registered version."""
    with tempfile.TemporaryDirectory() as folder:
        bank = Bank(Path(folder))
        write(bank.root / "train.csv", train)
        bank.started()
        report = bank.run()
        aucs = {"holdout": _holdout(bank, train, report)}
        if score:
            write(bank.root / "score.csv", score, target=False)
            bank.type("release", "release", MODEL)
            with bank.up():
                bank.type("predict", "predict", MODEL, "--data", "../score.csv", "--out", "../pred.csv")
                bank.type("status", "status")
            aucs |= _scored(bank, train, score)
        again = bank.run_again() if score else {}
        steps = {name: step["seconds"] for name, step in report["steps"].items()}
        return Walk(bank.seconds, steps, aucs, bool(report["version"]["accepted"]), again)


def _rows(label: str, paths: list[Walk]) -> list[Figure]:
    made = [figure(f"{label}: `run`, start to registered version", Spread.of([p.seconds["run"] for p in paths]), "s")]
    made += [figure(f"{label}: step {name}", Spread.of([p.steps[name] for p in paths]), "s") for name in paths[0].steps]
    beside = Spread.of([p.seconds["run"] - sum(p.steps.values()) for p in paths])
    made.append(figure(f"{label}: `run` beside its steps", beside, "s"))
    made += [
        figure(f"{label}: a second run, {name}", Spread.of([p.again[name] for p in paths]), "s")
        for name in paths[0].again
    ]
    for name in paths[0].seconds:
        if name != "run":
            target = Target(at_most=5) if name == "up" else None
            made.append(figure(f"{label}: `{name}`", Spread.of([p.seconds[name] for p in paths]), "s", target))
    for name in paths[0].aucs:
        ours, theirs = (Spread.of([p.aucs[name][side] for p in paths]) for side in (0, 1))
        said = f"{ours.median:.4f} against {theirs.median:.4f}"
        made.append(figure(f"{label}: AUC beside untuned LightGBM, {name}", ours.median - theirs.median, "", AUC, said))
    made.append(figure(f"{label}: versions accepted", sum(p.accepted for p in paths) / len(paths), "of 1"))
    return made


def _holdout(bank: Bank, train: list[dict[str, str]], report: dict[str, Any]) -> tuple[float, float]:
    """On the run's own split, by key."""
    inside = parts(bank, report)
    learn = [row for row in train if inside.get(row[KEY]) == "train"]
    held = [row for row in train if inside.get(row[KEY]) == "holdout"]
    metrics = report["steps"]["validate"]["record"]["metrics"]
    ours = next(m["value"] for m in metrics if m["name"] == "roc_auc" and m["part"] == "holdout")
    return ours, _lightgbm(learn, held)


def _scored(bank: Bank, train: list[dict[str, str]], score: list[dict[str, str]]) -> dict[str, tuple[float, float]]:
    from sklearn.metrics import roc_auc_score

    said = pl.read_csv(bank.root / "pred.csv")
    if said[KEY].cast(pl.String).to_list() != [row[KEY] for row in score]:
        raise AssertionError("the predictions are not one row an input row, in order")
    ours = float(roc_auc_score([int(row[TARGET]) for row in score], said["probability_1"].to_numpy()))
    part = parts(bank)
    learnt = [row for row in train if part.get(row[KEY]) == "train"]
    return {
        "score file, same training rows": (ours, _lightgbm(learnt, score)),
        "score file, all rows of the file": (ours, _lightgbm(train, score)),
    }


def parts(bank: Bank, report: dict[str, Any] | None = None) -> dict[str, str]:
    """Key → train or holdout, from the run's frozen training set."""
    from modelway.workspace import open_workspace

    workspace = open_workspace(bank.root / "bank")
    try:
        if report is None:
            from modelway.flow.runs import record

            digest = record(workspace, f"{MODEL}-0001", "prepare").data
        else:
            digest = report["steps"]["prepare"]["record"]["data"]
        frame = pl.read_parquet(io.BytesIO(workspace.artifacts.get(digest)), columns=["_key", "_part"])
    finally:
        workspace.close()
    return dict(frame.iter_rows())


def _lightgbm(learn: list[dict[str, str]], judged: list[dict[str, str]]) -> float:
    import numpy as np
    from lightgbm import LGBMClassifier
    from sklearn.metrics import roc_auc_score

    names = [name for name in learn[0] if name not in (KEY, TARGET)]

    def table(chosen: list[dict[str, str]]) -> tuple[Any, Any]:
        return np.array([[float(row[n]) for n in names] for row in chosen]), [int(row[TARGET]) for row in chosen]

    model = LGBMClassifier(verbosity=-1).fit(*table(learn))
    values, truth = table(judged)
    return float(roc_auc_score(truth, model.booster_.predict(values)))


if __name__ == "__main__":
    alone("run", measure)
