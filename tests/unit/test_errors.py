"""What the system's own errors are called."""

import errno
from pathlib import Path

import pytest

from modelway.cli.app import _ended
from modelway.errors import DiskFullError, LakeError, of_system

PLACE = Path("/data/bank")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_a_disk_full_error_of_whatever_kind(number):
    told = of_system(OSError(number, "No space"), PLACE, LakeError)
    assert isinstance(told, DiskFullError)
    assert (told.problem, told.exit_code) == ("/data/bank: the disk is full", 8)
    assert of_system(OSError(number, "No space")).problem == "the disk is full"


def test_a_place_that_cannot_be_written_is_of_the_kind_that_was_asked_for():
    told = of_system(OSError(errno.EROFS, "Read-only file system", "/data/bank/x"), kind=LakeError)
    assert isinstance(told, LakeError)
    assert told.problem == "/data/bank/x cannot be written (read-only file system)"
    assert "let this user" in of_system(PermissionError(errno.EACCES, "Permission denied", "/data/x")).fix


def test_other_trouble_and_one_without_a_place_is_not_named():
    assert of_system(OSError(errno.EIO, "Input/output error", "/data/x")) is None
    assert of_system(PermissionError(errno.EPERM, "Operation not permitted")) is None


def test_at_the_edge_of_the_command_the_systems_errors_are_words_too(capsys, monkeypatch):
    monkeypatch.delenv("MODELWAY_DEBUG", raising=False)
    assert _ended(OSError(errno.ENOSPC, "No space left on device"), interrupted=False) == 8
    assert capsys.readouterr().err == "the disk is full\n  fix: free space on that disk\n"
    assert _ended(PermissionError(errno.EACCES, "Permission denied", "out.csv"), interrupted=False) == 8
    assert "out.csv is closed to this user (permission denied)" in capsys.readouterr().err
    assert _ended(OSError(errno.EIO, "Input/output error", "x"), interrupted=False) == 70
