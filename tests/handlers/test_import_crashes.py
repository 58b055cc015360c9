"""An import whose process is killed at every single storage call still imports each row exactly once."""

import itertools
from collections import Counter

import pytest

from asyncservice.operations.handling import Done, Yielded
from asyncservice.storage.memory import MemoryStorage
from tests.handlers.contexts import FakeContext
from tests.handlers.crashing import Fate, Killed, MortalStorage
from tests.handlers.imports import SMALL, Story, a_story

ROWS = [f"University {number},{number}" for number in range(11)]
ROWS[2] = "University 2,2,too,many"
ROWS[5] = "University 5,not a number"
ROWS[7] = f"{'x' * 161},7"
CONTENT = "\n".join(["name,numberofemployees", *ROWS])
GOOD = [row.split(",")[0] for number, row in enumerate(ROWS) if number not in {2, 5, 7}]


async def live(story: Story, account: MemoryStorage, number: int, fate: Fate) -> Done:
    """Run one job in a process with that fate, then in further processes that live."""
    job = story.jobs[number]
    for current in itertools.chain([fate], itertools.repeat(Fate())):

        def before(fate: Fate = current) -> None:
            fate.before_call("save")

        def after(fate: Fate = current) -> None:
            fate.after_call(len(fate.calls))

        context = FakeContext(
            job,
            MortalStorage(account, current),
            yields_after_each_save=True,
            before_save=before,
            after_save=after,
        )
        try:
            outcome = await story.handler(number)(context)
        except Killed:
            continue
        if isinstance(outcome, Done):
            return outcome
        assert isinstance(outcome, Yielded)
        job.checkpoint = outcome.checkpoint
        if current is fate:
            # The same process takes the next slice.
            return await live(story, account, number, fate)
    raise AssertionError


async def assert_each_row_is_there_once(story: Story) -> None:
    assert await story.names() == Counter(GOOD)
    assert [(log["logphasecode"], log["linenumber"]) for log in await story.logs()] == [(0, 4), (1, 7), (2, 9)]
    assert len([data async for data in story.organization.records("importdata").query()]) == 3
    file, record = await story.file(), await story.record()
    assert (file["totalcount"], file["successcount"], file["failurecount"]) == (11, 8, 3)
    assert (file["processingstatus"], file["statuscode"], record["statuscode"]) == (11, 4, 4)
    assert [(job.succeeded, job.failed) for job in story.jobs] == [(10, 1), (9, 1), (8, 1)]


async def calls_of(number: int) -> list[str]:
    account = MemoryStorage()
    story = await a_story(account, CONTENT, sizes=SMALL)
    fates = [Fate() for _ in range(3)]
    for each in range(3):
        await live(story, account, each, fates[each])
    await assert_each_row_is_there_once(story)
    return fates[number].calls


@pytest.mark.parametrize("number", [0, 1, 2], ids=["parse", "transform", "import"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_process_killed_at_any_call_loses_and_doubles_nothing(number: int, *, after: bool) -> None:
    calls = await calls_of(number)
    assert len(calls) > 30
    for at, what in enumerate(calls, start=1):
        account = MemoryStorage()
        story = await a_story(account, CONTENT, sizes=SMALL)
        fate = Fate(at=at, after=after)
        for each in range(3):
            await live(story, account, each, fate if each == number else Fate())
        assert fate.is_dead
        try:
            await assert_each_row_is_there_once(story)
        except AssertionError as error:
            error.add_note(f"killed at call {at} of {len(calls)}, {'after' if after else 'before'} apply: {what}")
            raise
