"""What tasks reserve of a machine's cores and of its GPUs' memory is never given out twice, and said where it is missing."""

import msgspec
import pytest

from brender.engines.gpustats import read_smallest_memory
from brender.model.devices import Device
from brender.model.eligibility import obstacle
from brender.model.errors import BadInput
from brender.model.grant import with_threads
from brender.model.job import Requirements
from brender.model.sharing import Sharing, check_sharing
from brender.model.text import read_size
from brender.scheduling.assignment import assign
from brender.scheduling.audit import audit
from brender.scheduling.fitting import hindrance
from brender.scheduling.reservations import too_few_cores, too_little_gpu_memory
from brender.scheduling.roster import Roster
from brender.scheduling.solitude import KEEP_SECONDS, Solitude
from tests.rosters import PLENTY, info, job
from tests.world import World, animation

GB = 10**9
CARD = Device(kind="cuda", name="a card", id="CUDA_a card_0000:65:00")


def need(**reserved: int) -> Requirements:
    return Requirements(job_type="command", **reserved)


def machine(slots: int, cores: int, **more: object) -> Roster:
    roster = Roster(lambda worker: None)
    for number in range(slots):
        roster.worker_changed(info(f"w{number}", "host", cores=cores, **more), 0)
    return roster


def served(roster: Roster) -> set[str]:
    return {take.worker for take in assign(roster, PLENTY).takes}


def test_a_machine_runs_as_many_tasks_as_it_has_cores_for() -> None:
    roster = machine(8, 16)
    roster.job_changed(job(queued=50, need=need(cores=4)))
    assert len(served(roster)) == 4 and audit(roster) == []
    wanting = roster.jobs["job"].demand
    assert hindrance(wanting, roster.workers["w7"], roster.free) == too_few_cores(wanting, 16, 16.0)
    roster.worker_changed(roster.workers["w0"].info, 0)
    assert served(roster) == {"w0"}


def test_a_job_that_reserves_nothing_counts_as_its_slots_part_beside_one_that_does() -> None:
    roster = machine(8, 16)
    roster.job_changed(job("large", need=need(cores=11), priority=60))
    roster.job_changed(job("plain", queued=50))
    assert len(served(roster)) == 3, "eleven cores, and two slots of two"
    assert audit(roster) == []


def test_what_reserves_cores_waits_at_a_worker_behind_its_own_job_only() -> None:
    roster = machine(1, 16)
    roster.job_changed(job("plain"))
    assign(roster, PLENTY)
    roster.job_changed(job("large", queued=5, need=need(cores=8), order=2))
    assert assign(roster, PLENTY).takes == []
    roster.worker_changed(roster.workers["w0"].info, 0)
    assert {take.job for take in assign(roster, PLENTY).takes} == {"large"} and roster.workers["w0"].count > 1


def test_two_slots_of_one_gpu_share_its_memory() -> None:
    roster = machine(2, 16, devices=(CARD,), gpu_memory=24 * GB)
    roster.worker_changed(
        info("other", "host", cores=16, devices=(msgspec.structs.replace(CARD, id="b"),), gpu_memory=24 * GB), 0
    )
    roster.job_changed(job(queued=9, need=need(gpu_memory=16 * GB)))
    assert served(roster) == {"w0", "other"} and audit(roster) == []
    wanting = roster.jobs["job"].demand
    assert hindrance(wanting, roster.workers["w1"], roster.free) == too_little_gpu_memory(wanting, 24 * GB, 16 * GB)


@pytest.mark.parametrize(
    ("wants", "said"),
    [
        (need(cores=32), "has 16 cores, and each task of it reserves 32"),
        (need(gpu_memory=32 * GB), "has 24.0 GB of GPU memory, and each task of it reserves 32.0 GB"),
    ],
)
def test_what_no_machine_has_is_said_with_numbers(wants: Requirements, said: str) -> None:
    found = obstacle(wants, info("w", cores=16, devices=(CARD,), gpu_memory=24 * GB))
    assert found is not None and found.one == said and found.remedy


def test_a_large_task_comes_to_its_turn_among_small_ones() -> None:
    """No machine is kept free for it before it is the next one in turn."""
    roster = machine(4, 4)
    roster.job_changed(job("small", queued=1000, order=1))
    assert len(served(roster)) == 4
    roster.job_changed(job("large", need=need(cores=4), order=2))
    solitude = Solitude(roster, lambda worker, now: None)
    roster.job_changed(job("small", queued=1000, live=8, order=1))
    assert solitude.look(0.0) == []
    (kept,) = solitude.look(KEEP_SECONDS + 1)
    assert kept.kept == "large"
    for number in range(4):
        assert roster.jobs["large"].demand.queued == 1
        roster.worker_changed(roster.workers[f"w{number}"].info, 0)
        taken = assign(roster, PLENTY).takes
        assert [take.job for take in taken] == (["large"] if number == 3 else [])


def test_a_job_that_nobody_can_run_is_accepted_and_says_so() -> None:
    world = World()
    world.add_worker("a")
    told = world.submit(spec := msgspec.structs.replace(animation("1-3"), sharing=Sharing(cores=64)))
    said = world.ask("job", id=told["id"])["reason"]
    assert "each task of it reserves 64" in said and "--cores" in said
    assert told["warnings"] == [said] and world.submit(spec) == told, "a second submission is answered alike"
    world.act("cancel", told["id"])
    world.run(100)
    assert told["id"] not in world.server.farm.jobs and world.submit(spec).keys() == told.keys()
    assert not world.submit(animation("4"))["warnings"]


def test_a_task_uses_as_many_threads_as_it_reserves_cores_unless_it_says_fewer() -> None:
    assert with_threads({"threads": 0}, 4) == with_threads({"threads": 9}, 4) == {"threads": 4}
    assert with_threads({"threads": 2}, 4) == {"threads": 2} and with_threads({"program": "a"}, 4) == {"program": "a"}


def test_the_smallest_of_a_workers_gpus_tells_what_memory_it_has() -> None:
    said = "00000000:65:00.0, 24564\n00000000:66:00.0, 8192\n00000000:67:00.0, 4096\n"
    assert read_smallest_memory(said, ["cuda_a_0000:65:00", "cuda_b_0000:66:00"]) == 8192 * 2**20
    assert read_smallest_memory(said, ["cuda_a_0000:65:00", "metal"]) == 0


@pytest.mark.parametrize("text", ["", "much", "-1GB", "8 cores", "1e9GB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="8GB"):
        read_size(text)


@pytest.mark.parametrize("sharing", [Sharing(cores=-1), Sharing(cores=5000), Sharing(gpu_memory=-1)])
def test_reserving_what_makes_no_sense_is_refused(sharing: Sharing) -> None:
    with pytest.raises(BadInput):
        check_sharing(sharing)
