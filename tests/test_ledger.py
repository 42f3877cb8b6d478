"""The ledger: a round's changes become the fewest rows that make the record true again. And who owns which files."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest

from brender.bus.messages import Sorry
from brender.farm.farm import Farm
from brender.farm.output_owners import may_own, retire_files
from brender.farm.record import Entity, Ledger, Row
from brender.jobs.declare import JobType
from brender.model.errors import Conflict
from brender.model.job import JobSpec
from tests.world import World, animation, new_id


class Thing(Entity):
    kind = "thing"
    columns = ("color", "size", "tags")
    born = ("name",)

    def __init__(self, name: str) -> None:
        self.name, self.color, self.size, self.tags = name, "red", 1, ["a"]

    @property
    def key(self) -> str:
        return self.name

    def values(self) -> tuple[Any, ...]:
        return self.color, self.size, list(self.tags)

    def birth(self) -> tuple[Any, ...]:
        return (self.name,)


class Node(Thing):
    kind = "node"
    first_verb = "put"


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def test_a_new_entity_is_written_whole_and_then_only_what_has_changed(ledger: Ledger) -> None:
    class Fresh(Thing):
        """A kind of which nobody has asked yet what changed."""

    thing = Fresh("t")
    thing.keep_in(ledger)
    assert ledger.take() == [Row("insert", "thing", "t", ("name", "color", "size", "tags"), ("t", "red", 1, ["a"]))]
    for changes, columns in (
        ({"size": 2}, ("size",)),
        ({"color": "blue"}, ("color",)),
        ({"tags": ["b"]}, ("tags",)),
        ({"color": "green", "tags": ["c"]}, ("color", "tags")),
        ({"color": "black", "size": 5, "tags": []}, ("color", "size", "tags")),
        ({"size": 6}, ("size",)),
    ):
        for name, value in changes.items():
            setattr(thing, name, value)
        thing.touch()
        assert ledger.take() == [Row("update", "thing", "t", columns, tuple(changes.values()))]
    thing.touch()
    assert ledger.is_behind and ledger.take() == [] and not ledger.is_behind


def test_what_the_record_has_already_is_not_written(ledger: Ledger) -> None:
    thing = Thing("t")
    thing.keep_in(ledger, recorded=True)
    assert ledger.take() == []
    thing.size = 2
    thing.touch()
    assert ledger.take() == [Row("update", "thing", "t", ("size",), (2,))]


def test_of_two_that_took_one_place_in_a_round_the_newer_is_written(ledger: Ledger) -> None:
    first, newer, other = Node("n"), Node("n"), Node("other")
    first.keep_in(ledger)
    newer.size = 2
    newer.keep_in(ledger)
    other.keep_in(ledger)
    rows = ledger.take()
    assert [(row.key, row.fields["size"]) for row in rows] == [("n", 2), ("other", 1)]


def test_an_entity_that_was_changed_before_another_took_its_place_is_not_written_after_it(ledger: Ledger) -> None:
    known, newer = Node("n"), Node("n")
    known.keep_in(ledger, recorded=True)
    newer.size = 7
    newer.keep_in(ledger)
    known.size = 3
    known.touch()
    assert [row.fields["size"] for row in ledger.take()] == [7]


def test_rows_without_an_entity_are_gathered_and_what_is_deleted_goes_first(ledger: Ledger) -> None:
    ledger.put("worker_stats", "w", {"load": 1})
    ledger.change("worker_stats", "w", {"memory": 2})
    ledger.insert("event", 1, {"text": "a"})
    ledger.drop("event", 1)
    ledger.put("note", "n", {"text": "b"})
    assert ledger.take() == [
        Row("delete", "event", 1),
        Row("put", "worker_stats", "w", ("load", "memory"), (1, 2)),
        Row("put", "note", "n", ("text",), ("b",)),
    ]


@pytest.mark.parametrize(
    ("going", "folder", "pattern", "overlap"),
    [
        (("/a", ""), "/a", "f_####", True),
        (("/a", "f_####"), "/a", "f_####", True),
        (("/a", "f_####"), "/a", "g_####", False),
        (("/a", "f_####"), "/a", "", True),
        (("/a", ""), "/a/b", "f_####", True),
        (("/a/b", "f_####"), "/a", "", True),
        (("/a/b", "f_####"), "/a", "f_####", False),
        (("/a", "f_####"), "/a/b", "f_####", False),
        (("/a", ""), "/ab", "f_####", False),
        (("/a", "f_####"), "/a", "f_####", True),
        (("", ""), "/a", "f_####", False),
        (("", ""), "/a", "", False),
        (("/a", ""), "", "", False),
    ],
)
def test_a_job_is_refused_where_files_that_may_be_its_own_are_being_deleted(
    going: tuple[str, str], folder: str, pattern: str, overlap: bool
) -> None:
    farm, kind = Farm(), SimpleNamespace(output_key=lambda spec: pattern)
    farm.deleting["other"] = going
    with pytest.raises(Conflict, match="other") if overlap else nullcontext():
        assert may_own(farm, animation("1", output=folder), cast(JobType, kind)) == ((folder, pattern),)


def test_a_retired_job_s_files_go_unless_another_job_writes_there() -> None:
    world = World()
    world.submit(animation("1", output="/renders/shot"))
    farm = world.server.farm
    assert not retire_files(farm, "old", "/renders/shot") and not retire_files(farm, "old", "/renders") and not farm.deleting
    assert retire_files(farm, "old", "/renders/other") and farm.deleting == {"old": ("/renders/other", "")}


def test_jobs_whose_files_nobody_knows_may_share_a_folder_and_others_not() -> None:
    world = World()
    for _ in range(2):
        words = {"program": "true", "arguments": [], "frames": "1"}
        job = JobSpec(id=new_id(), name="words", job_type="command", settings=words, output="/renders")
        assert world.submit(job)["status"] == "queued"
    assert world.submit(animation("1", output="/renders/shot"))["status"] == "queued"
    assert isinstance(world.submit(animation("1", output="/renders/shot")), Sorry)


@pytest.mark.parametrize(("chosen", "free"), [({}, True), ({"blender": "5.0"}, False)])
def test_the_series_of_blender_is_chosen_again_unless_the_job_s_owner_chose_it(chosen: dict[str, str], free: bool) -> None:
    world = World()
    job = animation("1", **chosen)
    world.submit(job)
    state = world.server.farm.jobs[job.id]
    state.pin((5, 0))
    assert state.unpin() is free and (state.need.series is None) is free
