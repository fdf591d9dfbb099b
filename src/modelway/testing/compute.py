"""What every compute adapter must keep: subclass ComputeChecks in a test module and give it a `compute` fixture."""

from pathlib import Path

import pytest

from modelway.compute.port import Compute, run
from modelway.errors import DataError, EngineError

TASKS = "modelway.testing.tasks"


class ComputeChecks:
    """Each check takes the fixture `compute`, open, and closed by the fixture afterwards."""

    def test_a_job_gives_its_result_and_what_it_tells(self, compute: Compute) -> None:
        told: list[bytes] = []
        payload = bytes(range(256)) * 1000
        assert run(compute, "a", f"{TASKS}:echo", payload, told.append) == payload
        assert told == [payload]

    def test_the_same_id_is_the_same_job(self, compute: Compute, tmp_path: Path) -> None:
        place = tmp_path / "runs"
        for _ in range(3):
            run(compute, "a", f"{TASKS}:count", str(place).encode())
        run(compute, "b", f"{TASKS}:count", str(place).encode())
        assert place.read_text().splitlines() == ["run", "run"]

    def test_an_error_of_the_product_comes_back_as_it_is(self, compute: Compute) -> None:
        with pytest.raises(DataError) as caught:
            run(compute, "a", f"{TASKS}:refuse", b"no rows")
        assert (caught.value.problem, caught.value.fix) == ("no rows", "mend the data")

    @pytest.mark.parametrize("task", ["fail", "leave"])
    def test_any_other_error_is_an_engine_error_that_will_not_pass(self, compute: Compute, task: str) -> None:
        with pytest.raises(EngineError) as caught:
            run(compute, "a", f"{TASKS}:{task}", b"")
        assert not caught.value.transient
        assert run(compute, "b", f"{TASKS}:echo", b"still here") == b"still here"

    def test_a_dead_worker_is_transient_and_the_job_can_be_submitted_again(
        self, compute: Compute, tmp_path: Path
    ) -> None:
        mark = str(tmp_path / "died").encode()
        with pytest.raises(EngineError) as caught:
            run(compute, "a", f"{TASKS}:die", mark)
        assert caught.value.transient
        assert run(compute, "a", f"{TASKS}:die", mark) == b"alive"

    def test_looking_does_not_wait_and_a_cancelled_job_ends(self, compute: Compute) -> None:
        compute.submit("long", f"{TASKS}:linger", b"60")
        compute.submit("next", f"{TASKS}:echo", b"x")
        assert compute.wait("long", 0) is None
        compute.cancel("long")
        compute.cancel("never heard of")
        with pytest.raises(EngineError, match="cancelled"):
            compute.wait("long", 10)
        assert compute.wait("next", 30) == b"x"
        compute.cancel("next")
        assert compute.wait("next", 0) == b"x"

    def test_a_cancelled_job_can_be_submitted_again(self, compute: Compute) -> None:
        compute.submit("a", f"{TASKS}:linger", b"60")
        compute.cancel("a")
        compute.submit("a", f"{TASKS}:linger", b"0")
        assert compute.wait("a", 30) == b""

    @pytest.mark.parametrize(
        "task", ["os:system", "modelway:main", "modelway.testing.tasks.echo", "modelway..x:y", "../x:y"]
    )
    def test_only_tasks_of_modelway_are_taken(self, compute: Compute, task: str) -> None:
        with pytest.raises(EngineError, match="no task of Modelway"):
            compute.submit("a", task, b"")

    def test_an_unknown_job_is_an_error(self, compute: Compute) -> None:
        with pytest.raises(EngineError, match="never"):
            compute.wait("never", 0)

    def test_ping_returns(self, compute: Compute) -> None:
        compute.ping()
