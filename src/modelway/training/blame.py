"""An exception of the user's code, told with the user's lines: never ours, and a library's only by its last words."""

import linecache
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from modelway.errors import UserCodeError

_FIX = "correct the line in model.py, then: modelway check MODEL"


def user_error(error: BaseException, project: Path, doing: str) -> UserCodeError:
    """What to raise instead of `error`: the frames that lie in the project folder, and the exception's own line.

    `doing` says what was asked of the code, such as "build(params)". Without a user's frame, the step of the pipeline in
    which the error arose is named.
    """
    lines = [f"{doing} of {project.name} failed"]
    frames = [
        (frame, number) for frame, number in _walk(error.__traceback__) if _is_in(frame.f_code.co_filename, project)
    ]
    for frame, number in frames:
        file = Path(frame.f_code.co_filename)
        lines.append(f"  {file.relative_to(project.resolve())}, line {number}, in {frame.f_code.co_name}")
        lines.append(f"    {linecache.getline(str(file), number).strip()}")
    if isinstance(error, SyntaxError) and error.filename and _is_in(error.filename, project):
        lines.append(f"  {Path(error.filename).name}, line {error.lineno}")
        lines.append(f"    {(error.text or '').strip()}")
    if step := failing_step(error):
        lines.append(f"  in the step {step}")
    lines.append(f"  {_last_words(error)}")
    return UserCodeError("\n".join(lines), _FIX.replace("MODEL", project.name))


def failing_step(error: BaseException) -> str:
    """The path of named steps to the estimator that raised, such as `prep → num (SimpleImputer)`; "" if there is none."""
    nested: list[Any] = []
    for frame, _ in _walk(error.__traceback__):
        for name in ("self", "estimator", "transformer", "cloned_transformer"):
            value = frame.f_locals.get(name)
            if hasattr(value, "get_params") and not isinstance(value, type) and not any(value is n for n in nested):
                nested.append(value)
    path: list[str] = []
    inner: Any = None
    outer: Any = None
    for value in nested:
        names = (
            []
            if outer is None
            else [n for n, child in _children(outer) if child is value or type(child) is type(value)]
        )
        if outer is None or names:
            path += names[:1]
            outer = inner = value
    return f"{' → '.join(path)} ({type(inner).__name__})" if path else ""


def _children(estimator: Any) -> Iterator[tuple[str, Any]]:
    for attribute in ("steps", "transformers", "estimators", "transformer_list"):
        parts = getattr(estimator, attribute, None)
        if isinstance(parts, list):
            yield from ((part[0], part[1]) for part in parts if isinstance(part, tuple) and len(part) >= 2)


def _walk(trace: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while trace is not None:
        yield trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next


def _is_in(file: str, project: Path) -> bool:
    return not file.startswith("<") and Path(file).resolve().is_relative_to(project.resolve())


def _last_words(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"SystemExit: {error.code} (model.py must not end the process)"
    text = str(error.msg if isinstance(error, SyntaxError) else error).strip()
    short = "\n    ".join(line for line in text.splitlines()[:8])
    return f"{type(error).__name__}: {short}" if short else type(error).__name__
