"""What may go when, by the rules between stages, over stages and orders made by chance; and the ranges that remember frames."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from brender.farm.dependencies import Dependencies
from brender.farm.tasks import PartState, TaskState
from brender.jobs.stages import Graph, Stage, Wait
from brender.model.ranges import Ranges
from brender.model.status import PartStatus, TaskStatus

FRAMES = 4


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Up to five stages of four frames each, each of which waits for some before it."""
    stages: list[Stage] = []
    for place in range(draw(st.integers(1, 5))):
        waits = (
            draw(st.lists(st.tuples(st.integers(0, place - 1), st.booleans()), max_size=3, unique_by=lambda each: each[0]))
            if place
            else []
        )
        after = tuple(Wait(str(each), by_frame) for each, by_frame in waits)
        stages.append(Stage(str(place), place * FRAMES, FRAMES, after))
    return Graph(stages)


def tasks_of(graph: Graph) -> list[TaskState]:
    count = len(graph.stages) * FRAMES
    return [
        TaskState(number, "job", number, [PartState(number, number % FRAMES, "")], TaskStatus.WAITING) for number in range(count)
    ]


def should_wait(graph: Graph, done: set[int], number: int) -> bool:
    """The rules, said once more, by looking at everything."""
    for place, by_frame in graph.waits[graph.place(number)]:
        first = graph.stages[place].first_task
        needed = {first + number % FRAMES} if by_frame else set(range(first, first + FRAMES))
        if needed - done:
            return True
    return False


@settings(max_examples=60, deadline=None)
@given(graphs(), st.data())
def test_a_task_waits_for_exactly_what_the_rules_say_in_whatever_order_tasks_are_done(graph: Graph, data: st.DataObject) -> None:
    known, tasks = Dependencies(graph), tasks_of(graph)
    for task in tasks:
        known.enter(task)
        if graph.stage(task.number).after:
            known.hold(task)
    done: set[int] = set()
    cursor = len(tasks) - 1
    while len(done) < len(tasks):
        free = [task for task in tasks if task.number not in done and not known.waits(task, cursor)]
        assert {task.number for task in free} == {
            task.number for task in tasks if task.number not in done and not should_wait(graph, done, task.number)
        }
        assert free, "something can always be done"
        task = data.draw(st.sampled_from(free))
        known.release(task.id)
        task.parts[0].status = PartStatus.COMPLETED
        if data.draw(st.booleans()):  # seen before the task has ended, too
            assert task.id not in set(known.held_at([task.number % FRAMES]))
        known.leave(task, was_in_memory=True)
        done.add(task.number)
    assert not known.held and not known.held_at(range(FRAMES)) and not any(known.unmade)


@settings(max_examples=60, deadline=None)
@given(graphs(), st.integers(0, FRAMES - 1))
def test_what_waits_for_a_frame_that_failed_waits_in_vain_until_it_is_queued_again(graph: Graph, frame: int) -> None:
    known, tasks = Dependencies(graph), tasks_of(graph)
    for task in tasks:
        known.enter(task)
    tasks[frame].parts[0].status = PartStatus.FAILED
    known.leave(tasks[frame], was_in_memory=True)
    in_vain = {task.number for task in tasks if known.is_in_vain(task)}
    assert in_vain == {
        task.number
        for task in tasks
        for place, by_frame in graph.waits[graph.place(task.number)]
        if place == 0 and (not by_frame or task.number % FRAMES == frame)
    }
    known.queue_again(frame, tasks[frame].parts)
    assert not any(known.is_in_vain(task) for task in tasks)


@given(st.lists(st.tuples(st.booleans(), st.integers(-20, 20), st.integers(0, 6))))
def test_ranges_hold_the_numbers_that_a_set_would_and_neither_touch_nor_overlap(steps: list[tuple[bool, int, int]]) -> None:
    ranges, numbers = Ranges(), set[int]()
    for adds, first, more in steps:
        if adds:
            ranges.add(first, first + more)
            numbers |= set(range(first, first + more + 1))
        else:
            ranges.discard(first)
            numbers.discard(first)
    pairs = list(ranges.pairs())
    assert {each for first, last in pairs for each in range(first, last + 1)} == numbers
    assert len(ranges) == len(numbers) and all(number in ranges for number in numbers) and 99 not in ranges
    assert all(last + 1 < first for (_, last), (first, _) in itertools.pairwise(pairs))
