"""Questions that are held back for company: never one alone for long, never two out of order, and never one forgotten."""

import asyncio
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.serving.gathering import Gathering


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def run(check):
    async def whole():
        asked: list[object] = []
        gathering = Gathering(lambda question, size: asked.append(question), 0.005)
        await check(gathering, asked)

    asyncio.run(whole())


def test_one_after_the_other_never_waits():
    async def check(gathering, asked):
        for number in range(50):
            gathering.ask(SimpleNamespace(number=number), 1)
            assert len(asked) == number + 1
            gathering.answered()
            await turns(20)
        assert gathering.expected == 1

    run(check)


def test_company_is_waited_for_once_it_was_there():
    async def check(gathering, asked):
        gathering.ask("a", 1)
        gathering.ask("b", 1)  # while the first one is being answered: two are expected from now on
        assert asked == ["a"]
        gathering.ask("c", 1)
        assert asked == ["a"]
        gathering.ask("d", 1)

    run(check)


def test_clients_in_a_circle_are_asked_together():
    """Eight, each of whom asks again when it has its answer: the first come alone, and then nearly all at once."""

    async def whole():
        loop, rounds, waiting = asyncio.get_running_loop(), list[int](), list[asyncio.Future[None]]()

        def answer():
            rounds.append(len(waiting))
            for reply in waiting:
                gathering.answered()
                reply.set_result(None)
            waiting.clear()

        def ask(reply, size):
            if not waiting:
                loop.call_soon(answer)
            waiting.append(reply)

        async def client(late):
            await asyncio.sleep(late / 1000)
            for _ in range(300):
                reply = loop.create_future()
                gathering.ask(reply, 1)
                await reply
                await turns(20 + late)

        gathering = Gathering(ask, 0.005)
        await asyncio.wait_for(asyncio.gather(*[client(late) for late in range(8)]), 60)
        assert sum(rounds) == 8 * 300
        return rounds

    rounds = asyncio.run(whole())
    late = rounds[len(rounds) // 2 : -8]
    assert sum(late) / len(late) > 6


def test_a_wait_in_vain_ends_and_less_is_expected():
    async def check(gathering, asked):
        gathering.expected = 16
        for number in range(5):
            gathering.ask(number, 1)
            loop = asyncio.get_running_loop()
            end = loop.time() + 5
            while len(asked) <= number:
                assert loop.time() < end
                await asyncio.sleep(0.001)
            gathering.answered()
            await turns(20)
        assert gathering.expected == 1

    run(check)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["ask", "answer", "turn", "wait"]), max_size=60))
def test_every_question_is_asked_once_and_in_order(steps):
    async def check(gathering, asked):
        made = answered = 0
        for step in steps:
            if step == "ask":
                gathering.ask(made, 1)
                made += 1
            elif step == "answer" and answered < len(asked):
                gathering.answered()
                answered += 1
            elif step == "turn":
                await turns(1)
            elif step == "wait":
                await asyncio.sleep(0.006)
        end = asyncio.get_running_loop().time() + 5
        while len(asked) < made:
            assert asyncio.get_running_loop().time() < end
            await asyncio.sleep(0.001)
        assert asked == list(range(made))

    run(check)
