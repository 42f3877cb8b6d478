"""Frame sets, names, statuses: the words that everything else is made of."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brender.model.bundle import check_path
from brender.model.eligibility import count_able
from brender.model.errors import BadInput, BrenderError, Conflict, IllegalTransition, from_code
from brender.model.frames import arrange, chunk, chunk_count, format_frames, parse_frames
from brender.model.job import Requirements
from brender.model.naming import check_pattern, frame_name, movie_name, temporary_name
from brender.model.nodes import Blender, WorkerInfo, allows_program, can_open_with, choose_blender
from brender.model.obstacle import short_name
from brender.model.paths import in_own_words, is_foreign, parent_of
from brender.model.status import (
    JOB_TRANSITIONS,
    OUTCOMES,
    PART_TRANSITIONS,
    TASK_TRANSITIONS,
    JobStatus,
    Outcome,
    PartStatus,
    TaskStatus,
    change,
)
from brender.model.trust import check_trust
from tests.world import facts


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("1-4", (1, 2, 3, 4)),
        ("1-10x3,20", (1, 4, 7, 10, 20)),
        ("5", (5,)),
        ("3-1", (3, 2, 1)),
        ("-2-1", (-2, -1, 0, 1)),
        ("1, 1-2", (1, 2)),
        ("1 10", (1, 10)),
        ("1-5 8", (1, 2, 3, 4, 5, 8)),
        ("1 - 4", (1, 2, 3, 4)),
        ("1 -5", (1, -5)),
        ("1–4,6—7", (1, 2, 3, 4, 6, 7)),
        ("1..4", (1, 2, 3, 4)),
        ("-3..-1", (-3, -2, -1)),
        ("1-10 x 4", (1, 5, 9)),
        ("1-6y2", (2, 4, 6)),
        ("10-1X4", (10, 6, 2)),
        ("10-1 X 4", (10, 6, 2)),
        ("1-6 Y 2", (2, 4, 6)),
        ("1--1", (1, 0, -1)),
        (" 3,, 4\n5 ", (3, 4, 5)),
    ],
)
def test_a_frame_set_means_its_frames_in_order(text: str, frames: tuple[int, ...]) -> None:
    assert parse_frames(text) == frames


@pytest.mark.parametrize("text", ["", " ,", "abc", "1-", "1.5", "1-5x0", "1-5x-1", "1-5x", "1-2-3", "1;2", "٣", "1-10x2y3", "#"])
def test_what_is_no_frame_set_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadInput, match=r"write frames and ranges such as 1-100"):
        parse_frames(text)


@pytest.mark.parametrize("text", ["1-99999999", "2000000", "1-1048575", "-1048575", "1-9999999999999999999x7", "1..99999999"])
def test_frames_that_blender_does_not_have_are_refused_as_such_and_never_counted(text: str) -> None:
    with pytest.raises(BadInput, match="leaves Blender's frames, which go from -1048574 to 1048574"):
        parse_frames(text)


def test_a_colon_is_refused_with_what_to_write_instead() -> None:
    with pytest.raises(BadInput, match=r"Write 1-10x3 for every .* or 1-10 for all"):
        parse_frames("1-10:3")


def test_naming_all_frames_over_and_over_does_not_eat_memory() -> None:
    with pytest.raises(BadInput, match="again and again"):
        parse_frames(",".join(["-1048574-1048574"] * 1000))


@given(st.sets(st.integers(-1000, 1000), min_size=1))
def test_frames_written_down_and_read_again_are_the_same(frames: set[int]) -> None:
    assert set(parse_frames(format_frames(frames))) == frames


@given(st.integers(1, 500), st.integers(1, 60))
def test_chunks_hold_every_frame_once_and_in_order(count: int, size: int) -> None:
    frames = tuple(range(count))
    chunks = [chunk(frames, size, index) for index in range(chunk_count(count, size))]
    assert [frame for each in chunks for frame in each] == list(frames)
    assert all(1 <= len(each) <= size for each in chunks)


@pytest.mark.parametrize(
    ("pattern", "frame", "name"),
    [
        ("a_####", 7, "a_0007.png"),
        ("a", 7, "a0007.png"),
        ("a_##_b", 123, "a_123_b.png"),
        ("#_##.png", 5, "#_05.png"),
        ("a_###", -7, "a_-007.png"),
    ],
)
def test_a_frames_name_comes_from_the_pattern(pattern: str, frame: int, name: str) -> None:
    assert frame_name(pattern, frame, ".png") == name


@pytest.mark.parametrize(
    "pattern", ["../a", "a/../../b", "/etc/a", "C:\\a", "\\\\host\\a", "", " ", "con_/nul", "a\nb", "x" * 300, "a:b", "..\\a"]
)
def test_a_pattern_that_leaves_the_folder_or_is_no_file_name_is_refused(pattern: str) -> None:
    with pytest.raises(BadInput, match="output pattern"):
        check_pattern(pattern)


@given(st.text(min_size=1, max_size=30), st.integers(0, 9999))
def test_an_accepted_pattern_never_leaves_its_folder(pattern: str, frame: int) -> None:
    from pathlib import PurePosixPath, PureWindowsPath

    try:
        name = frame_name(check_pattern(pattern), frame, ".png")
    except BadInput:
        return
    for path in (PurePosixPath(name), PureWindowsPath(name)):
        assert not path.is_absolute() and ".." not in path.parts


def test_two_attempts_never_write_one_temporary_file() -> None:
    assert temporary_name("a/x_01.png", "f00d") == "a/.x_01.f00d.tmp.png"
    assert temporary_name("x_01.png", "beef") != temporary_name("x_01.png", "f00d")


@pytest.mark.parametrize(
    ("table", "statuses"),
    [(JOB_TRANSITIONS, JobStatus), (TASK_TRANSITIONS, TaskStatus), (PART_TRANSITIONS, PartStatus), (OUTCOMES, Outcome)],
)
def test_every_status_has_its_row_in_the_table(table: dict, statuses: type) -> None:
    assert set(table) == set(statuses)


def test_a_change_that_is_in_no_table_is_an_error_that_names_it() -> None:
    with pytest.raises(IllegalTransition, match="task 7 cannot go from completed to active"):
        change(TASK_TRANSITIONS, "task", 7, TaskStatus.COMPLETED, TaskStatus.ACTIVE)


OLD, FIVE = Blender("executable", "/b", (3, 4, 1)), Blender("bpy", "/p", (5, 0, 1))


@pytest.mark.parametrize(("saved_by", "chosen"), [((2, 59), FIVE), ((3, 4), OLD), ((3, 6), FIVE), ((5, 0), FIVE), ((5, 1), None)])
def test_the_blender_for_a_file_is_of_its_series_or_the_newest_never_an_older_one(
    saved_by: tuple[int, int], chosen: Blender | None
) -> None:
    assert choose_blender((OLD, FIVE), saved_by) == chosen


@pytest.mark.parametrize(
    ("version", "subversion", "oldest", "opens"),
    [
        ((4, 5, 3), None, (4, 5, 85), True),
        ((4, 5, 3), 92, (4, 5, 85), True),
        ((4, 5, 0), 80, (4, 5, 85), False),
        ((4, 4, 3), None, (4, 5, 85), False),
        ((5, 0, 1), 119, (4, 5, 85), True),
        ((5, 2, 0), None, None, False),
        ((5, 3, 0), None, None, True),
    ],
)
def test_a_blender_opens_a_newer_file_if_that_file_says_so(
    version: tuple[int, int, int], subversion: int | None, oldest: tuple[int, int, int] | None, opens: bool
) -> None:
    blender = Blender("executable", "/b", version, subversion)
    assert (choose_blender((blender,), (5, 3), oldest) is not None) is opens


def test_of_blenders_older_than_the_file_the_newest_takes_it() -> None:
    older = Blender("executable", "/b", (4, 5, 3))
    assert choose_blender((FIVE, older), (5, 3), (4, 5, 85)) == FIVE


@pytest.mark.parametrize(
    ("programs", "program", "allowed"),
    [
        (("*",), "/opt/../bin/sh", True),
        (("ffmpeg",), "ffmpeg", True),
        (("ffmpeg",), "/tmp/ffmpeg", False),
        (("/opt/*",), "/opt/bin/tool", True),
        (("/opt/*",), "/opt/../bin/sh", False),
        (("/opt/*",), "tool", False),
        (("a", "b*"), "beta", True),
        ((), "ffmpeg", False),
    ],
)
def test_a_worker_runs_the_programs_that_its_owner_allows(programs: tuple[str, ...], program: str, allowed: bool) -> None:
    assert allows_program(WorkerInfo(id="w", incarnation=1, name="w", programs=programs), program) is allowed


def test_a_long_name_is_cut_where_a_sentence_ends_that_holds_it() -> None:
    assert short_name("a" * 40) == "a" * 40 and short_name("a" * 41) == "a" * 39 + "…"


def test_an_error_that_travels_is_of_its_kind_or_of_none_that_is_known() -> None:
    assert type(from_code(Conflict.code, "there")) is Conflict
    unknown = from_code("never heard of", "here")
    assert type(unknown) is BrenderError and str(unknown) == "here"


@pytest.mark.parametrize("path", ["", "/a", "../a", "a/../b", "a//b", "a. ", "a.", "con.txt", "a:b", "x" * 300])
def test_a_path_that_no_machine_could_hold_is_refused(path: str) -> None:
    with pytest.raises(BadInput):
        check_path(path)


@pytest.mark.parametrize("path", ["a", ".hidden", " a", "shot/.a b.c", "console"])
def test_a_path_that_every_machine_can_hold_is_taken(path: str) -> None:
    check_path(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,2.5", "'1,2.5' is not a frame set: 2.5 lies between two frames; "),
        ("1,5-", "'1,5-' is not a frame set: 5- has no end; "),
        ("1,5-9X", "'1,5-9X' is not a frame set: 5-9X has no step; "),
        ("0-9, x", "'0-9, x' is not a frame set: x is not a number; "),
        ("1,5-9x0", "'1,5-9x0' is not a frame set: a step is 1 or more; "),
        (
            "1,9-5:2",
            "'1,9-5:2' is not a frame set: ':' means one thing here and another there. Write 9-5x2 for every frame of 9-5 ",
        ),
        ("1,1048575", "'1,1048575' leaves Blender's frames, which go from -1048574 to 1048574"),
        ("1,-1048575", "'1,-1048575' leaves Blender's frames, which go from -1048574 to 1048574"),
    ],
)
def test_what_is_wrong_with_a_frame_set_is_said(text: str, said: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_frames(text)
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize(
    ("text", "frames"),
    [("5", (5,)), ("9-5x2", (9, 7, 5)), ("1-9y4", (2, 3, 4, 6, 7, 8)), ("3-3x2", (3,)), ("-2-1", (-2, -1, 0, 1))],
)
def test_a_range_goes_from_its_first_frame_to_its_last(text: str, frames: tuple[int, ...]) -> None:
    assert sorted(parse_frames(text)) == sorted(frames)


def test_frames_are_rendered_in_the_order_that_is_asked_for() -> None:
    frames = tuple(range(1, 17))
    assert arrange(frames, "forward") == frames and arrange(frames, "backward") == frames[::-1]
    assert arrange(frames, "preview") == (1, 9, 5, 13, 3, 7, 11, 15, 2, 4, 6, 8, 10, 12, 14, 16)


def test_a_random_order_has_each_frame_once_and_is_always_the_same() -> None:
    frames = tuple(range(10, 60))
    mixed = arrange(frames, "random")
    assert sorted(mixed) == list(frames) and mixed not in (frames, frames[::-1]) and mixed == arrange(frames, "random")


def test_the_first_of_several_movies_is_numbered_and_a_frame_before_zero_has_its_sign() -> None:
    assert movie_name("movie_##", "MPEG4", -5, 20, splits=True) == "movie_-05-20_000.mp4"
    assert movie_name("movie_##", "MPEG4", -5, 20) == "movie_-05-20.mp4"
    names = [movie_name(pattern, "MPEG4", 1, 20, False, splits) for pattern in ("a_##", "a") for splits in (False, True)]
    assert names == ["a_01-20", "a_01-20_000", "a", "a_000"]
    assert movie_name("a.MP4", "MPEG4", 1, 20, splits=True) == "a_000.mp4"


def test_a_path_of_windows_is_foreign_elsewhere() -> None:
    assert in_own_words("/P:/tex/a.png") == "P:\\tex\\a.png" == in_own_words("P:/tex\\a.png")
    assert [in_own_words(path) for path in ("/mnt/P:/a", "a", "P:a")] == ["/mnt/P:/a", "a", "P:a"]
    assert parent_of("/a/b", "linux") == "/a" and parent_of("P:\\a\\b", "windows") == "P:\\a"
    assert [is_foreign(path, "linux") for path in ("C:\\a", "/a")] == [True, False] and not is_foreign("C:\\a", "windows")


def test_of_many_things_that_need_trust_three_are_named_and_the_others_counted() -> None:
    file = msgspec.structs.replace(facts(), needs_trust=("a", "b", "c", "d", "e"))
    assert "a, b, c and 2 more" in check_trust(file, False, "--trusted", "--no")[0]


def test_workers_that_can_run_a_job_are_counted_with_the_blender_that_most_of_them_have() -> None:
    def worker(name: str, *versions: tuple[int, int, int], tags: tuple[str, ...] = ()) -> WorkerInfo:
        blenders = tuple(Blender(f"/b{version}", "", version) for version in versions)
        kinds = frozenset({"blender-animation"})
        return WorkerInfo(id=name, incarnation=1, name=name, blenders=blenders, tags=frozenset(tags), job_types=kinds)

    workers = [worker("a", (5, 0, 1)), worker("b", (5, 0, 1), tags=("gpu",)), worker("c", (4, 2, 0)), worker("d")]
    need = Requirements(job_type="blender-animation", blender=(5, 0))
    assert count_able(need, (), workers) == 2
    assert count_able(Requirements(job_type="blender-animation", blender=(5, 0), tags=frozenset({"gpu"})), (), workers) == 1


def test_a_newer_file_opens_where_it_says_so() -> None:
    assert can_open_with((5, 0), (4, 2), None)
    assert not can_open_with((4, 2), (5, 0), None)
    assert can_open_with((4, 2), (5, 0), (4, 2, 0)) and not can_open_with((4, 1), (5, 0), (4, 2, 0))
