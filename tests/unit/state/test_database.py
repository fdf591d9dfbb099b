"""The control database: why it cannot be opened is said, and what to do."""

import errno
from pathlib import Path

import pytest

from modelway.errors import EngineError
from modelway.state import database
from modelway.state.database import Database


def opened(place: Path) -> Database:
    return Database(f"sqlite:///{place / 'control.db'}")


def test_a_folder_that_is_gone_is_named(tmp_path):
    with pytest.raises(EngineError) as caught:
        opened(tmp_path / "gone").ping()
    assert caught.value.problem == f"{tmp_path / 'gone'}: No such file or directory"
    assert "backup" in caught.value.fix


@pytest.mark.parametrize(
    ("number", "says", "fix"),
    [(errno.EROFS, "cannot be written (read-only file system)", "mount"), (errno.EACCES, "closed to this user", "let")],
)
def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch, number, says, fix):
    def refused(**where: Path) -> None:
        raise OSError(number, "Permission denied", str(where["dir"] / "some file"))

    monkeypatch.setattr(database.tempfile, "TemporaryFile", refused)
    (tmp_path / "control.db").mkdir()  # SQLite can open no folder: the same words as where it may not write
    with pytest.raises(EngineError) as caught:
        opened(tmp_path).ping()
    assert caught.value.problem.startswith(f"{tmp_path} ")
    assert says in caught.value.problem
    assert fix in caught.value.fix
