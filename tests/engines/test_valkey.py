"""The checks of online values over a real Valkey, and what is its own: kills, passwords, eviction, expiry, equal windows."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import uuid
from collections.abc import Iterator

import pytest
import redis

from modelway.errors import EngineError
from modelway.features.rows import compile_row, groups_of
from modelway.features.sqlite import SqliteOnlineValues
from modelway.features.valkey import ValkeyOnlineValues
from modelway.testing.features import plan_with, world
from modelway.testing.online import GROUPS, T0, OnlineChecks, Opened, event, keys
from modelway.workspace import create_workspace

pytestmark = pytest.mark.engines


@pytest.fixture
def name() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def opened(valkey_server: str, name: str) -> Iterator[Opened]:
    given: list[ValkeyOnlineValues] = []

    def another() -> ValkeyOnlineValues:
        given.append(ValkeyOnlineValues(valkey_server, name, GROUPS))
        return given[-1]

    yield another
    for one in given:
        one.close()


class TestValkey(OnlineChecks): ...


@pytest.mark.parametrize("point", ["online.before-commit", "online.after-commit"])
def test_a_kill_leaves_values_and_position_together(valkey_server, name, point):
    first = ValkeyOnlineValues(valkey_server, name, GROUPS)
    first.put([event("a", 1)], {0: 1})
    script = textwrap.dedent("""
        import sys
        from modelway.features.valkey import ValkeyOnlineValues
        from modelway.testing.online import GROUPS, event
        ValkeyOnlineValues(sys.argv[1], sys.argv[2], GROUPS).put([event("b", 2)], {0: 2})
    """)
    asked = [sys.executable, "-c", script, valkey_server, name]
    done = subprocess.run(asked, env={**os.environ, "MODELWAY_KILL_AT": point}, check=False)
    assert done.returncode == -signal.SIGKILL
    before = point == "online.before-commit"
    assert (keys(first), first.upto()) == ((["a"], {0: 1}) if before else (["a", "b"], {0: 2}))
    first.put([event("b", 2)], {0: 2})
    assert keys(first) == ["a", "b"]
    first.close()


def test_a_kill_while_it_forgets_answers_nothing_wrong(valkey_server, name):
    values = ValkeyOnlineValues(valkey_server, name, GROUPS)
    values.put([event("a", 1), event("b", 5)], {0: 2})
    script = textwrap.dedent("""
        import sys
        from datetime import timedelta
        from modelway.features.valkey import ValkeyOnlineValues
        from modelway.testing.online import GROUPS, T0
        ValkeyOnlineValues(sys.argv[1], sys.argv[2], GROUPS).forget(T0 + timedelta(minutes=5))
    """)
    asked = [sys.executable, "-c", script, valkey_server, name]
    done = subprocess.run(asked, env={**os.environ, "MODELWAY_KILL_AT": "online.after-forgotten"}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert keys(values, since=5, until=9) == []
    assert values.forget(T0.replace(minute=5)) == 1
    values.close()


def test_writers_side_by_side_lose_and_double_nothing(valkey_server, name):
    def write(start):
        mine = ValkeyOnlineValues(valkey_server, name, GROUPS)
        for n in range(start, 60, 2):
            mine.put([event(f"k{n:03d}", n), event("shared", 0)], {start: n + 1})
        mine.close()

    threads = [threading.Thread(target=write, args=(start,)) for start in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    values = ValkeyOnlineValues(valkey_server, name, GROUPS)
    assert keys(values) == ["k000", "shared", *(f"k{n:03d}" for n in range(1, 60))]
    assert values.upto() == {0: 59, 1: 60}
    values.close()


def test_windows_are_those_of_sqlite_to_the_last_bit(valkey_server, name, tmp_path):
    events, features = world(5, 120)
    plan = plan_with(features)
    row = compile_row(plan)
    one = ValkeyOnlineValues(valkey_server, name, groups_of(plan))
    other = SqliteOnlineValues(tmp_path / "values.db", groups_of(plan))
    rows = events.rows(named=True)
    for store in (one, other):
        store.put([row.event(r, r["_key"], r["_at"], r["_arrived"]) for r in rows], {0: len(rows)})
    for r in rows:
        mine, theirs = (row(r, r["_key"], r["_at"], store, r["_arrived"]) for store in (one, other))
        assert repr(mine) == repr(theirs)
    one.close()
    other.close()


def test_what_was_not_written_for_the_time_to_live_expires(valkey_server, name):
    values = ValkeyOnlineValues(valkey_server, name, GROUPS, ttl_seconds=1)
    values.put([event("a", 1)], {0: 1})
    client = redis.Redis.from_url(valkey_server)
    lives = [client.ttl(key) for key in client.scan_iter(f"modelway:{name}:[cr]/*")]
    assert len(lives) == 4
    assert all(0 <= seconds <= 1 for seconds in lives)
    assert values.upto() == {0: 1}
    values.close()


@pytest.mark.parametrize("point", ["online.before-commit", "online.after-chunks"])
def test_an_erasure_that_was_killed_is_ended_by_the_next_call_and_leaves_no_byte(valkey_server, name, point):
    values = ValkeyOnlineValues(valkey_server, name, GROUPS)
    values.put([event(f"erna-{n}", n, card="mustermann", shop=f"s{n % 3}") for n in range(200)], {0: 200})
    values.put([event("k1", 1), event("k2", 2, arrived=9, card="mustermann")], {0: 202})
    values.put([event("k2", 2, arrived=10)], {0: 203})
    script = textwrap.dedent("""
        import sys
        from modelway.features.valkey import ValkeyOnlineValues
        from modelway.testing.online import GROUPS
        ValkeyOnlineValues(sys.argv[1], sys.argv[2], GROUPS).erase([], {"card": "mustermann"})
    """)
    asked = [sys.executable, "-c", script, valkey_server, name]
    done = subprocess.run(asked, env={**os.environ, "MODELWAY_KILL_AT": point}, check=False)
    assert done.returncode == -signal.SIGKILL
    values.erase([], {"card": "mustermann"})
    assert keys(values, (), ()) == ["k1"]
    client = redis.Redis.from_url(valkey_server)
    names = list(client.scan_iter(f"modelway:{name}:*"))
    left = b"".join([*names, *(told for one in names for told in whole(client, one))])
    assert b"k1" in left
    assert b"erna" not in left
    assert b"mustermann" not in left
    values.close()


def whole(client: redis.Redis, name: bytes) -> Iterator[bytes]:
    """All that stands under a key."""
    kind = client.type(name)
    if kind == b"string":
        yield client.get(name) or b""
    elif kind == b"hash":
        for field, value in client.hgetall(name).items():
            yield field + value
    else:
        yield from client.zrange(name, 0, -1)


def test_a_server_that_evicts_is_refused(valkey_server, name):
    values, client = ValkeyOnlineValues(valkey_server, name, GROUPS), redis.Redis.from_url(valkey_server)
    client.config_set("maxmemory", "500mb")
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(EngineError, match="allkeys-lru"):
            values.ping()
    finally:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "0")
    values.ping()
    values.close()


def test_a_connection_that_was_lost_while_idle_is_made_anew(valkey_server, name):
    values, client = ValkeyOnlineValues(valkey_server, name, GROUPS), redis.Redis.from_url(valkey_server)
    values.put([event("a", 1)], {0: 1})
    assert keys(values) == ["a"]
    assert client.client_kill_filter(_type="normal", skipme=True) >= 1
    assert keys(values) == ["a"]
    client.close()
    values.close()


def test_many_threads_read_side_by_side(valkey_server, name):
    values = ValkeyOnlineValues(valkey_server, name, GROUPS)
    values.put([event(f"k{n}", n, card=f"c{n}") for n in range(8)], {0: 8})
    wrong = []

    def read(n):
        wrong.extend(n for _ in range(200) if keys(values, entity=(f"c{n}",)) != [f"k{n}"])

    threads = [threading.Thread(target=read, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    values.close()


def test_nobody_answers_or_the_password_is_wrong(valkey_server, name):
    away = ValkeyOnlineValues("unix:///nowhere/at/all", name, GROUPS)
    with pytest.raises(EngineError) as caught:
        away.ping()
    assert caught.value.transient
    client = redis.Redis.from_url(valkey_server)
    client.config_set("requirepass", "right")
    try:
        wrong = ValkeyOnlineValues(valkey_server, name, GROUPS, password="s3cret")
        with pytest.raises(EngineError, match=r"online\.valkey") as refused:
            wrong.upto()
        assert "s3cret" not in str(refused.value)
        assert ValkeyOnlineValues(valkey_server, name, GROUPS, password="right").upto() == {}
    finally:
        redis.Redis.from_url(valkey_server, password="right").config_set("requirepass", "")


def test_doctor_asks_the_server(valkey_server, tmp_path):
    workspace = create_workspace(tmp_path / "there", f"online: {{valkey: {{url: {valkey_server!r}}}}}\n")
    dict(workspace.pings())["online values"]()
    workspace.close()
    workspace = create_workspace(tmp_path / "away", "online: {valkey: {url: 'redis://127.0.0.1:1'}}\n")
    with pytest.raises(EngineError, match="Valkey"):
        dict(workspace.pings())["online values"]()
    workspace.close()
