"""Where results go, and what is found out before anything is loaded."""

import os
from pathlib import Path

import pytest

from sgc_diffusion.cli.errors import CommandError, UsageError
from sgc_diffusion.cli.inputs import Source, gather_inputs
from sgc_diffusion.cli.outputs import Naming, plan_outputs, writing

NAMING = Naming({".png", ".jpg"}, ".sgc", {".sgc"}, ".sgc")


@pytest.fixture()
def place(tmp_path, monkeypatch):
    """An empty working folder, and a function that makes files in it."""
    monkeypatch.chdir(tmp_path)

    def make(*names):
        for name in names:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_bytes(b"x")

    return make


def plan(arguments, output=None, naming=NAMING, overwrite=False, skip_existing=False):
    sources = gather_inputs(arguments, naming.stripped, "pictures").sources
    return plan_outputs(sources, output, naming, overwrite=overwrite, skip_existing=skip_existing)


def targets(arguments, output=None):
    return [job.target.as_posix() for job in plan(arguments, output).jobs]


def test_a_folder_keeps_its_folders(place):
    place("p/a/x.png", "p/b/x.png", "p/x.png")
    assert targets(["p"], "out") == ["out/x.sgc", "out/a/x.sgc", "out/b/x.sgc"]
    assert targets(["p"]) == ["p/x.sgc", "p/a/x.sgc", "p/b/x.sgc"]


@pytest.mark.parametrize(
    ("arguments", "output", "expected"),
    [
        (["x.png"], "out", ["out/x.sgc"]),  # the same meaning for one picture and for two
        (["x.png", "y.png"], "out", ["out/x.sgc", "out/y.sgc"]),
        (["x.png"], "out.d/", ["out.d/x.sgc"]),
        (["x.png"], "there.d", ["there.d/x.sgc"]),
        (["x.png"], "z.sgc", ["z.sgc"]),
        (["x.png"], "Z.SGC", ["Z.SGC"]),
        (["noted.2024.01"], None, ["noted.2024.01.sgc"]),  # what is no known suffix is part of the name
    ],
)
def test_what_an_output_means_does_not_depend_on_the_number_of_inputs(place, arguments, output, expected):
    place("x.png", "y.png", "there.d/other", "noted.2024.01")
    assert targets(arguments, output) == expected


@pytest.mark.parametrize("output", ["x.png", "z.png", "new.d", "existing"])
def test_another_formats_name_is_refused_with_what_to_do(place, output):
    place("x.png", "existing")
    with pytest.raises(UsageError, match=r"must end in \.sgc; for a folder, end it in"):
        plan(["x.png"], output, overwrite=True)


@pytest.mark.parametrize(
    ("names", "arguments", "output"),
    [
        (["x.png", "x.jpg"], ["x.png", "x.jpg"], None),
        (["p/x.png", "p/x.jpg"], ["p"], "out/"),
        (["a/x.png", "b/x.png"], ["a/x.png", "b/x.png"], "out/"),
        (["a/x.png", "b/x.png"], ["a", "b"], "out/"),
        (["x.png", "y.png"], ["x.png", "y.png"], "z.sgc"),
        (["x.png", "y.png"], ["x.png", "y.png"], "-"),
        (["x.png", "X.jpg"], ["x.png", "X.jpg"], None),  # disks that ignore case
        (["a/x.png", "A/x.png"], ["*"], "out/"),
        (["p/\u00e9.png", "p/e\u0301.jpg"], ["p"], "out"),  # and those that normalize
    ],
)
def test_two_sources_with_one_target_are_named_and_nothing_is_done(place, names, arguments, output):
    place(*names)
    for overwrite in (False, True):
        with pytest.raises(CommandError) as caught:
            plan(arguments, output, overwrite=overwrite)
        assert all(name in str(caught.value) for name in names)
        assert "nothing was done" in str(caught.value)


def test_targets_that_are_one_through_a_link_collide(place):
    place("a/x.png", "b/x.png")
    Path("out/real").mkdir(parents=True)
    Path("out/a").symlink_to("real")
    Path("out/b").symlink_to("real")
    with pytest.raises(CommandError, match=r"a/x\.png and b/x\.png"):
        plan(["*"], "out")


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_an_input_is_never_an_output(place, link):
    place("x.png")
    getattr(Path("x.sgc"), link)(Path("x.png").absolute())
    outcome = plan(["x.png"], overwrite=True)
    assert not outcome.jobs and "is an input of this run" in outcome.problems[0][1]
    place("y.sgc")
    naming = Naming(set(), "", {".sgc"}, ".sgc")
    assert "is an input" in plan(["y.sgc"], naming=naming, overwrite=True).problems[0][1]


def test_what_exists_is_a_problem_or_skipped_or_overwritten(place):
    place("x.png", "x.sgc", "y.png")
    outcome = plan(["x.png", "y.png"])
    assert [job.source.name for job in outcome.jobs] == ["y.png"]
    assert "--force" in outcome.problems[0][1] and "--skip-existing" in outcome.problems[0][1]
    outcome = plan(["x.png", "y.png"], skip_existing=True)
    assert [job.source.name for job in outcome.skipped] == ["x.png"] and len(outcome.jobs) == 1
    assert len(plan(["x.png", "y.png"], overwrite=True).jobs) == 2


@pytest.mark.parametrize(
    ("output", "part"),
    [
        ("x.png/out/", "out/x.sgc: cannot be written"),  # below a file
        ("/proc/none/", "/proc/none/x.sgc: cannot be written"),  # where nobody may write
        ("there/", "there/x.sgc: is a folder"),
    ],
)
def test_targets_that_cannot_be_written_are_named_before_the_work(place, output, part):
    place("x.png")
    Path("there/x.sgc").mkdir(parents=True)
    outcome = plan(["x.png"], output, overwrite=True)
    assert not outcome.jobs and part in outcome.problems[0][1]


def test_a_missing_folder_and_a_name_that_is_too_long_are_named(place):
    place("x.png", "y" * 250 + ".png")
    with pytest.raises(CommandError, match=r"nodir/x\.sgc: cannot be written: there is no folder nodir"):
        plan(["x.png"], "nodir/x.sgc")
    naming = Naming({".png"}, ".decoded.png", {".png"}, ".png")
    outcome = plan(["x.png", "y" * 250 + ".png"], naming=naming)
    assert [job.source.name for job in outcome.jobs] == ["x.png"]
    assert "y.decoded.png: cannot be written: File name too long" in outcome.problems[0][1]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_target_that_fails_while_it_is_written_is_named(place):
    place("x.png")
    (job,) = plan(["x.png"], "/dev/full").jobs
    with (
        pytest.raises(CommandError, match="/dev/full: cannot be written: No space left"),
        writing(job, NAMING, overwrite=False) as temporary,
    ):
        temporary.write_bytes(b"data")


def test_a_target_that_appears_meanwhile_is_kept(place):
    place("x.png")
    (job,) = plan(["x.png"]).jobs
    with pytest.raises(CommandError, match=r"x\.sgc: exists already"), writing(job, NAMING, overwrite=False) as path:
        path.write_bytes(b"ours")
        Path("x.sgc").write_bytes(b"theirs")
    assert Path("x.sgc").read_bytes() == b"theirs"


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_all_names_of_standard_output_are_one(place, name):
    place("x.png")
    (job,) = plan(["x.png"], name).jobs
    assert job.target is None


def test_standard_input_goes_to_standard_output():
    source = Source("-", None, Path("stdin"))
    outcome = plan_outputs([source], None, NAMING, overwrite=False, skip_existing=False)
    assert outcome.jobs[0].target is None
