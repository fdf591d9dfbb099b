"""A case brought as far as a run brings it: read, made a project, typed by its contract, fitted. Once for each case."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from modelway.contracts.checked import Checked
from modelway.contracts.contract import contract_of
from modelway.contracts.table import check_table
from modelway.features.plan import plan_of
from modelway.files.read import read_table
from modelway.records import Column
from modelway.scaffold.new import Created, new_project
from modelway.spec.load import load_spec
from modelway.spec.model import Spec
from modelway.training.classes import ordered_classes, target_text
from modelway.training.estimate import fit_once
from modelway.training.frames import codes, to_pandas
from modelway.training.user_code import load_user_code
from tests.corpus.case import Case

HEAD = 600
"""Rows that are fitted at most."""
FEW_TREES = {"max_iter": 30}
"""`test_quality.py` fits models as they are written."""


@dataclass(frozen=True)
class Fitted:
    estimator: Any
    columns: tuple[Column, ...]
    table: pd.DataFrame
    classes: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Prepared:
    """Everything is made on first use."""

    case: Case
    folder: Path

    @cached_property
    def path(self) -> Path:
        path = self.case.make(self.folder)
        if path is None:
            pytest.skip(f"the source of {self.case.name} is not here: {self.case.origin}")
        return path

    @cached_property
    def frame(self) -> pl.DataFrame:
        return read_table(self.path)

    @cached_property
    def project(self) -> Created:
        return new_project(self.folder, self.case.name, self.path, self.case.target, frame=self.frame)

    @cached_property
    def spec(self) -> Spec:
        return load_spec(self.folder / self.project.files[0])

    @cached_property
    def checked(self) -> Checked:
        """The file as ingestion reads it, against the contract that was made from it."""
        words = [name for name, rule in self.spec.contract.items() if rule.type == "string"]
        return check_table(read_table(self.path, text=words), contract_of(self.spec), self.spec.data.key)

    @cached_property
    def fitted(self) -> Fitted:
        """The default plan's columns of a head of rows, the classes in order, one fit."""
        spec, columns = self.spec, plan_of(self.spec).columns
        rows = _days(self.checked.accepted, spec).filter(pl.col(spec.data.target).is_not_null())
        rows = rows.sample(min(HEAD, rows.height), seed=0)
        classes: tuple[str, ...] = ()
        if spec.task == "regression":
            target = codes(rows[spec.data.target], ())
        else:
            names = target_text(rows[spec.data.target])
            classes = ordered_classes(dict(names.value_counts().iter_rows()), spec.task, spec.data.positive)
            target = codes(names, classes)
        table, notes = to_pandas(rows, columns), list[str]()
        code = load_user_code(self.folder / "models" / self.case.name)
        estimator = fit_once(code, FEW_TREES, table, target, spec.task, 0, notes)
        return Fitted(estimator, columns, table, classes, tuple(n for n in notes if "n_jobs" not in n))


def _days(frame: pl.DataFrame, spec: Spec) -> pl.DataFrame:
    """Dates as the default plan gives them: days since 1970."""
    dates = [name for name, rule in spec.contract.items() if rule.type in ("date", "datetime")]
    return frame.with_columns(pl.col(n).cast(pl.Datetime("us")).dt.epoch("us") / 86_400e6 for n in dates)
