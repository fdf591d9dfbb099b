"""Files enter the event log once, whatever dies on the way: a folder of days, and a large file in pieces."""

import gzip
import os
import random
import time
from pathlib import Path

import polars as pl
import pytest

from modelway.errors import ContractError, UnreadableFileError
from modelway.files import pieces
from modelway.flow import sending
from modelway.flow.feeding import ingest
from modelway.flow.sending import send_files
from modelway.ingest import files
from modelway.spec.model import Spec
from modelway.workspace import create_workspace, open_workspace
from tests.support.killing import KILLED, passages, run_apart

DAYS, A_DAY, LARGE = 5, 40, 700


def spec(key="id"):
    return Spec.model_validate(
        {
            "model": "loans",
            "task": "binary",
            "data": {"source": {"files": ["days/*"]}, "key": key, "target": "y"},
            "contract": {"n": {"type": "int", "min": 0}, "y": {"type": "int"}},
        }
    )


def rows(count, seed):
    chosen = random.Random(seed)
    values = [chosen.randint(0, 9) for _ in range(count)]
    return pl.DataFrame({"id": [f"{seed}-{n}" for n in range(count)], "n": values, "y": [v % 2 for v in values]})


def founded(root: Path, key: str | None = "id") -> Path:
    create_workspace(root, "").close()
    (root / "days").mkdir()
    for day in range(DAYS):
        write(root, f"2026-01-0{day}.csv", rows(A_DAY, day), key)
    write(root, "2026-01-05.parquet", rows(A_DAY, 50), key)
    write(root, "2026-01-06.csv", rows(LARGE, 60), key)
    return root


def write(root: Path, name: str, frame: pl.DataFrame, key: str | None = "id", old: bool = True) -> Path:
    """Without a key, most rows have equals, in other pieces too."""
    frame, path = frame if key else frame.drop("id"), root / "days" / name
    frame.write_parquet(path) if path.suffix == ".parquet" else frame.write_csv(path)
    if old:
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def bring(root: str, key: str | None) -> None:
    """As `modelway ingest` does, with small pieces and chunks."""
    pieces.PIECE, files.CHUNK = 1_500, 30
    workspace = open_workspace(Path(root))
    send_files(workspace, spec(key))
    ingest(workspace, spec(key))
    workspace.close()


def held(root: Path, key: str | None) -> list[tuple]:
    workspace = open_workspace(root)
    columns = ["id", "n", "y"] if key else ["n", "y"]
    found = workspace.lake.read("loans", columns).rows()
    sent = sum(workspace.log.ends("loans").values())
    workspace.close()
    assert sent <= CHUNKS + 1, "what was noted is not sent again"
    return sorted(found)


def wanted(key: str | None) -> list[tuple]:
    frames = [*(rows(A_DAY, day) for day in range(DAYS)), rows(A_DAY, 50), rows(LARGE, 60)]
    columns = ["id", "n", "y"] if key else ["n", "y"]
    if key is None:  # equal rows of two files are one row
        frames = [frame.select("n", "y").with_columns(nth=pl.int_range(pl.len()).over("n", "y")) for frame in frames]
        return sorted(pl.concat(frames).unique().select(columns).rows())
    return sorted(pl.concat(frames).select(columns).rows())


CHUNKS = 6 * 2 + 60


@pytest.mark.parametrize("key", ["id", None])
@pytest.mark.timeout(300)
def test_killed_at_each_point_and_started_again_every_row_is_there_once(tmp_path, key):
    points = passages(bring, str(founded(tmp_path / "whole", key)), key, trace=tmp_path / "trace")
    assert held(tmp_path / "whole", key) == wanted(key)
    own = [name for name in sorted(set(points)) if name.startswith(("files.", "log."))]
    assert {"files.before-chunk", "files.after-chunk", "files.before-note", "files.after-note"} <= set(own)
    for name in own:
        root = founded(tmp_path / name, key)
        assert run_apart(bring, str(root), key, kill_at=f"{name}:{1 + points.count(name) // 2}") == KILLED
        assert run_apart(bring, str(root), key) == 0
        assert held(root, key) == wanted(key), name


def test_killed_again_and_again_it_goes_on_from_where_it_was(tmp_path):
    root, chosen, kills = founded(tmp_path / "w"), random.Random(3), 0
    while run_apart(bring, str(root), "id", kill_at=f"files.after-chunk:{chosen.randint(2, 9)}") == KILLED:
        kills += 1
    workspace = open_workspace(root)
    sent = sum(workspace.log.ends("loans").values())
    workspace.close()
    assert kills >= 3
    assert sent <= CHUNKS + kills
    assert sorted(r[0] for r in held_rows(root)) == sorted(r[0] for r in wanted("id"))


def held_rows(root):
    workspace = open_workspace(root)
    found = workspace.lake.read("loans", ["id"]).rows()
    workspace.close()
    return found


@pytest.fixture
def workspace(tmp_path):
    opened = open_workspace(founded(tmp_path / "w"))
    yield opened
    opened.close()


def test_files_that_were_sent_are_not_read_again(workspace, monkeypatch):
    told = []
    assert send_files(workspace, spec(), lambda what, share: told.append((what, share))) == 6 * A_DAY + LARGE
    assert [share for _, share in told] == sorted(share for _, share in told)
    assert told[-1] == ("reading files: 2026-01-06.csv", 1.0)
    monkeypatch.setattr(files, "file_digest", lambda path: pytest.fail(f"{path} was read"))
    assert send_files(workspace, spec()) == 0


def test_a_file_that_was_touched_is_read_and_not_sent_and_one_that_grew_is(workspace):
    send_files(workspace, spec())
    root = workspace.places.root
    (root / "days/2026-01-00.csv").touch()
    write(root, "2026-01-01.csv", rows(A_DAY + 5, 1))
    assert send_files(workspace, spec()) == A_DAY + 5
    ingest(workspace, spec())
    assert workspace.lake.read("loans", ["id"]).height == 6 * A_DAY + LARGE + 5


def test_a_change_within_the_same_moment_is_seen(workspace):
    """Of the same size, and too soon for the clock of the file system."""
    fresh = write(workspace.places.root, "2026-02-01.csv", rows(A_DAY, 7), old=False)
    moment = time.time_ns() + 60_000_000_000  # as if it were now, however long the sending takes
    os.utime(fresh, ns=(moment, moment))
    send_files(workspace, spec())
    fresh.write_bytes(fresh.read_bytes().replace(b"7-0,", b"8-0,"))
    os.utime(fresh, ns=(moment, moment))
    assert send_files(workspace, spec()) == A_DAY


def test_a_broken_file_is_named_and_what_came_before_it_stays(workspace):
    (workspace.places.root / "days/2026-01-03.csv").write_text("id,n,y\n1,2,3\n4,5,6,7,8\n")
    with pytest.raises(UnreadableFileError, match=r"2026-01-03\.csv"):
        send_files(workspace, spec())
    write(workspace.places.root, "2026-01-03.csv", rows(A_DAY, 3))
    assert send_files(workspace, spec()) == 3 * A_DAY + LARGE


def test_a_large_file_of_which_no_row_holds_is_refused_before_anything_of_it_is_sent(workspace, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE", 1_500)
    send_files(workspace, spec())
    ends = workspace.log.ends("loans")
    write(workspace.places.root, "2026-03-01.csv", rows(LARGE, 9).with_columns(n=-1))
    with pytest.raises(ContractError, match=rf"refuses every row of 2026-03-01\.csv: n: .*\({LARGE} rows\)"):
        send_files(workspace, spec())
    assert workspace.log.ends("loans") == ends


@pytest.mark.parametrize("name", ["2026-03-01.csv", "2026-03-01.csv.gz", "2026-03-01.ndjson"])
def test_nothing_of_a_large_file_that_is_broken_at_its_end_is_sent(workspace, monkeypatch, name):
    monkeypatch.setattr(pieces, "PIECE", 1_500)
    send_files(workspace, spec())
    ends, path = workspace.log.ends("loans"), workspace.places.root / "days" / name
    whole = rows(5 * LARGE, 9)
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(whole.write_csv().encode())[:-9])
    elif name.endswith(".ndjson"):
        path.write_text(whole.write_ndjson() + '{"id": "9-x", "n":\n')
    else:
        path.write_text(whole.write_csv() + "9-x,1,0,1,1\n")
    with pytest.raises(UnreadableFileError, match=name):
        send_files(workspace, spec())
    assert workspace.log.ends("loans") == ends


def test_a_large_file_is_read_ahead_and_then_sent_with_the_types_of_its_last_rows(workspace, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE", 1_500)
    send_files(workspace, spec())
    ends = workspace.log.ends("loans")
    late = rows(LARGE, 9).with_columns(
        extra=pl.when(pl.int_range(pl.len()) < LARGE - 1).then(pl.lit("7")).otherwise(pl.lit("1.5"))
    )
    write(workspace.places.root, "2026-03-01.csv", late)
    told = []
    assert send_files(workspace, spec(), lambda what, share: told.append((what, share))) == LARGE
    ahead = [share for what, share in told if what == "reading ahead: 2026-03-01.csv"]
    assert ahead == sorted(ahead)
    assert (len(ahead) > 3, ahead[-1]) == (True, 1.0)
    sent = workspace.log.read("loans", ends, 1_000)
    assert {pl.read_ipc_stream(event.value).schema["extra"] for event in sent} == {pl.Float64}


def test_a_file_that_was_begun_in_pieces_of_another_size_is_begun_again(workspace, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE", 1_500)
    monkeypatch.setattr(files, "CHUNK", 30)
    send_files(workspace, spec())
    write(workspace.places.root, "2026-03-01.csv", rows(LARGE, 9))
    keep, kept = sending._keep, []

    def until(*told):
        keep(*told)
        kept.append(told)
        if len(kept) == 12:
            raise KeyboardInterrupt

    monkeypatch.setattr(sending, "_keep", until)
    with pytest.raises(KeyboardInterrupt):
        send_files(workspace, spec())
    monkeypatch.setattr(sending, "_keep", keep)
    monkeypatch.setattr(pieces, "PIECE", 2_500)
    assert send_files(workspace, spec()) == LARGE
    ingest(workspace, spec())
    ids = workspace.lake.read("loans", ["id"])["id"]
    assert ids.str.starts_with("9-").sum() == LARGE


def test_rows_that_hold_far_behind_are_found(workspace, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE", 1_500)
    monkeypatch.setattr(sending, "_FIRST_ROWS", 10)
    send_files(workspace, spec())
    bad = rows(LARGE, 9).with_columns(n=pl.when(pl.int_range(pl.len()) < 600).then(-1).otherwise("n"))
    write(workspace.places.root, "2026-03-01.csv", bad)
    assert send_files(workspace, spec()) == LARGE


def arrivals(workspace) -> set:
    return {event.arrived for event in workspace.log.read("loans", {}, 1_000)}


def test_files_that_are_sent_together_arrive_at_one_moment(workspace, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE", 1_500)
    monkeypatch.setattr(files, "CHUNK", 30)
    send_files(workspace, spec())
    (first,) = arrivals(workspace)
    write(workspace.places.root, "2026-01-07.csv", rows(A_DAY, 70))
    send_files(workspace, spec())
    assert len(arrivals(workspace)) == 2
    assert min(arrivals(workspace)) == first


def test_a_sending_that_was_killed_goes_on_at_its_moment(tmp_path):
    root = founded(tmp_path / "w")
    assert run_apart(bring, str(root), "id", kill_at="files.after-chunk:9") == KILLED
    assert run_apart(bring, str(root), "id", kill_at="files.before-chunk:20") == KILLED
    assert run_apart(bring, str(root), "id") == 0
    opened = open_workspace(root)
    assert len(arrivals(opened)) == 1
    opened.close()
