"""Workspaces for end-to-end tests: the installed command in processes of its own, on data small enough to be quick."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

ENV = {**os.environ, "MODELWAY_USER": "ann", "OMP_NUM_THREADS": "2", "NO_COLOR": "1", "COLUMNS": "140"}


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def modelway(*words: str, cwd: Path, env: dict[str, str] | None = None, timeout: float = 120) -> Said:
    """Run `modelway …` as a user does."""
    done = subprocess.run(
        [sys.executable, "-m", "modelway", *words],
        cwd=cwd,
        env={**ENV, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def ok(*words: str, cwd: Path, env: dict[str, str] | None = None, timeout: float = 120) -> str:
    """What a command that must succeed said on standard output."""
    said = modelway(*words, cwd=cwd, env=env, timeout=timeout)
    assert said.code == 0, f"{words}: {said.code}\n{said.out}\n{said.err}"
    return said.out


def applicants(rows: int = 600, seed: int = 0, shift: float = 0.0) -> pl.DataFrame:
    """Loan applications whose default depends on income, debts and job; a few values are missing."""
    rng = np.random.default_rng(seed)
    income = np.round(np.exp(rng.normal(7.6 + shift, 0.5, rows)), 2)
    debt = np.round(rng.gamma(2.0, 400.0, rows), 2)
    job = rng.choice(["office", "trade", "none", "Self"], rows, p=[0.5, 0.3, 0.1, 0.1])
    risk = -0.6 + 2.0 * (debt / income - 0.5) + 1.5 * (job == "none") - 0.6 * np.log(income / 2000)
    bad = (rng.random(rows) < 1 / (1 + np.exp(-2 * risk))).astype(int)
    frame = pl.DataFrame(
        {"loan_id": [f"L{n + 1:05d}" for n in range(rows)], "income": income, "debt": debt, "job": job, "BAD": bad}
    )
    holes = pl.Series(rng.random(rows) < 0.03)
    return frame.with_columns(debt=pl.when(~holes).then(pl.col("debt")))


MODEL = """\
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


def build(params):
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    words = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    parts = ColumnTransformer([("numbers", numbers, ["income", "debt"]), ("words", words, ["job"])])
    return make_pipeline(parts, LogisticRegression(C=params.get("C", 1.0)))
"""

SPEC = """\
model: loans
task: binary
data:
  source: {files: [train.csv]}
  key: loan_id
  target: BAD
  positive: "1"
contract:
  loan_id: {type: string, nulls: 0}
  income: {type: float, min: 0, nulls: 0}
  debt: {type: float, min: 0}
  job: {type: string, in: [office, trade, none, Self]}
  BAD: {type: int, in: [0, 1]}
"""


def bank(place: Path, *, rows: int = 600, spec: str = SPEC, model: str = MODEL, stack: str = "") -> Path:
    """A workspace with one model, `loans`, and its data; nothing has run yet."""
    ok("init", "bank", cwd=place)
    root = place / "bank"
    (root / "stack.yaml").write_text("serving: {port: 0}\ntick_seconds: 0.2\n" + stack)
    applicants(rows).write_csv(root / "train.csv")
    project = root / "models" / "loans"
    project.mkdir(parents=True)
    (project / "modelway.yaml").write_text(spec)
    (project / "model.py").write_text(model)
    return root


@dataclass(frozen=True)
class Standing:
    """What an error must leave as it was."""

    lake: dict[str, int]
    ledger: int
    processes: tuple[str, ...]


def standing(root: Path) -> Standing:
    """Table versions, ledger entries (the chain is verified), and the processes that work in the workspace."""
    from modelway.state import ledger
    from modelway.workspace import open_workspace

    workspace = open_workspace(root)
    try:
        tables = {name: workspace.lake.version(name) for name in workspace.lake.tables()}
        return Standing(
            {n: v.version for n, v in tables.items() if v}, ledger.verify(workspace.database), processes(root)
        )
    finally:
        workspace.close()


def processes(root: Path) -> tuple[str, ...]:
    """Command lines of living processes that name the workspace or stand in it (ours excepted)."""
    found = []
    for place in Path("/proc").glob("[0-9]*") if Path("/proc").is_dir() else ():
        try:
            line = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            inside = (place / "cwd").readlink().is_relative_to(root)
            state = (place / "stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            continue
        if int(place.name) != os.getpid() and state != "Z" and (inside or str(root) in line):
            found.append(line)
    return tuple(sorted(found))


def records(root: Path, *words: str) -> Any:
    """What a command prints with `--json`."""
    import json

    return json.loads(ok(*words, "--json", cwd=root))
