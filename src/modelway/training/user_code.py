"""models/<name>/model.py, loaded afresh: `build(params)` and, if it is there, `search_space(trial)`."""

import hashlib
import importlib
import importlib.util
import os
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from modelway.errors import GraphError, NotFoundError, UserCodeError
from modelway.records import LIMITS, Limits, Task, dumps
from modelway.training.blame import user_error

T = TypeVar("T")
GRAPH = ".onnx"
"""How the name of a graph ends that a project brings."""


@dataclass(frozen=True)
class UserCode:
    """The module as loaded; `sources` are the project's Python files (tests left out) and its ONNX graphs in base64.

    `digest` is their content hash.
    """

    project: Path
    module: ModuleType
    sources: Mapping[str, str]
    limits: Limits = LIMITS
    """What a graph that the project brings may take."""

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.bundle()).hexdigest()

    def bundle(self) -> bytes:
        """The sources as JSON (path → text): what reproduction loads."""
        return dumps(dict(self.sources))

    @property
    def searches(self) -> bool:
        return callable(getattr(self.module, "search_space", None))

    def build(self, params: Mapping[str, Any], task: Task | None = None) -> Any:
        """A fresh estimator; raises UserCodeError when `build` raises, or returns what cannot be fitted."""
        from modelway.training.brought import BroughtClassifier, BroughtRegressor

        estimator = self.call("build(params)", lambda: self.module.build(dict(params)))
        if problem := _not_an_estimator(estimator, task):
            raise UserCodeError(f"build(params) of {self.project.name} {problem}", _WAY_OUT[task == "anomaly"])
        if isinstance(estimator, BroughtClassifier | BroughtRegressor):
            estimator.limits = self.limits
        return estimator

    def search_space(self, trial: Any) -> dict[str, Any]:
        """The parameters that a trial asks for; raises UserCodeError."""
        wanted = self.call("search_space(trial)", lambda: self.module.search_space(trial))
        if not isinstance(wanted, Mapping):
            raise UserCodeError(
                f"search_space(trial) of {self.project.name} returned {type(wanted).__name__}",
                "return a dict of parameters",
            )
        return dict(wanted)

    def call(self, doing: str, work: Callable[[], T]) -> T:
        """Run `work`, in which the user's code runs; whatever it raises (but Ctrl-C) becomes a UserCodeError."""
        with importable(self.project):
            try:
                return work()
            except (UserCodeError, GraphError):
                raise
            except (Exception, SystemExit) as error:
                raise user_error(error, self.project, doing) from error


def load_user_code(project: Path, limits: Limits = LIMITS) -> UserCode:
    """Load `model.py` of a model project, anew at every call. Raises NotFoundError, UserCodeError."""
    place = project / "model.py"
    if not place.is_file():
        raise NotFoundError(f"{place} does not exist", "write it with: def build(params): return an estimator")
    sources = {
        str(path.relative_to(project).as_posix()): path.read_text(encoding="utf-8")
        for path in sorted(project.rglob("*.py"))
        if "tests" not in path.relative_to(project).parts and not path.name.startswith("test_")
    } | {path.name: b64encode(path.read_bytes()).decode() for path in sorted(project.glob(f"*{GRAPH}"))}
    name = f"modelway_project_{hashlib.sha256(str(project.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, place)
    if spec is None or spec.loader is None:
        raise NotFoundError(f"{place} cannot be loaded as Python", "model.py must be a Python file")
    module = importlib.util.module_from_spec(spec)
    with importable(project):
        sys.modules[name] = module
        try:
            exec(compile(sources["model.py"], str(place.resolve()), "exec"), module.__dict__)
        except (Exception, SystemExit) as error:
            raise user_error(error, project, "loading model.py") from error
    if not callable(getattr(module, "build", None)):
        raise UserCodeError(f"{place} has no function build", "write: def build(params): return an estimator")
    return UserCode(project, module, sources, limits)


def write_sources(sources: Mapping[str, str], project: Path) -> None:
    """The files of a project as `UserCode.sources` has them."""
    for name, text in sources.items():
        file = project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b64decode(text) if name.endswith(GRAPH) else text.encode())


@contextmanager
def importable(project: Path) -> Iterator[None]:
    """`import sibling` works for the project's own files, and leaves no trace in `sys.path` and `sys.modules`."""
    place = str(project.resolve())
    before, writes = set(sys.modules), sys.dont_write_bytecode
    sys.path.insert(0, place)
    importlib.invalidate_caches()
    sys.dont_write_bytecode = True  # a .pyc is known by size and second: an edit within one second would not be seen
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes
        sys.path.remove(place)
        for name in own_modules(project) - before:
            del sys.modules[name]


def own_modules(project: Path) -> set[str]:
    """Names of the loaded modules whose file lies in the project folder."""
    place = f"{project.resolve()}{os.sep}"
    files = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
    return {name for name, file in files.items() if isinstance(file, str) and file.startswith(place)}


_WAY_OUT = {
    False: "return a scikit-learn-compatible estimator",
    True: "return a detector of scikit-learn, such as IsolationForest, or what has its fit(rows) and score_samples(rows)",
}


def _not_an_estimator(estimator: Any, task: Task | None) -> str:
    if estimator is None:
        return "returned nothing"
    if isinstance(estimator, type):
        return f"returned the class {estimator.__name__}; write {estimator.__name__}(…)"
    if not callable(getattr(estimator, "fit", None)):
        return f"returned {type(estimator).__name__}, which has no fit"
    method = {"regression": "predict", "anomaly": "score_samples"}.get(str(task), "predict_proba")
    if task is not None and not hasattr(estimator, method):
        odd = "; a detector of anomalies needs task: anomaly" if hasattr(estimator, "score_samples") else ""
        return f"returned {type(estimator).__name__}, which has no {method} (task: {task}{odd})"
    return ""
