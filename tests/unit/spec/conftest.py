from collections.abc import Callable
from pathlib import Path

import pytest

from modelway.errors import SpecError
from modelway.spec.load import load_spec

SOUND = """\
model: loans
task: binary
data:
  source: {files: [data.csv]}
  target: bad
  key: id
  event_time: at
  entities: [customer]
  protected: [sex]
contract:
  id: {type: string}
  at: {type: datetime}
  customer: {type: string}
  sex: {type: string}
  bad: {type: int, in: [0, 1]}
  amount: {type: float, min: 0}
"""


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "modelway.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def lines_of(written: Callable[[str], Path]) -> Callable[[str], list[str]]:
    """The mistakes of a text, without the folder: `LINE: key: what`."""

    def lines(text: str) -> list[str]:
        path = written(text)
        with pytest.raises(SpecError) as caught:
            load_spec(path)
        return [line.removeprefix(f"{path}:") for line in caught.value.problem.splitlines()]

    return lines
