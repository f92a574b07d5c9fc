"""Which files names, folders and patterns stand for."""

import os
from pathlib import Path

import pytest

from sgc_diffusion.cli.inputs import gather_inputs

SUFFIXES = {".png", ".jpg"}


@pytest.fixture()
def place(tmp_path, monkeypatch):
    """An empty working folder, and a function that makes files in it."""
    monkeypatch.chdir(tmp_path)

    def make(*names):
        for name in names:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_bytes(b"x")

    return make


def gather(*arguments):
    return gather_inputs(arguments, SUFFIXES, "pictures")


def names(inputs):
    return [source.name for source in inputs.sources]


def relative(inputs):
    return [source.relative.as_posix() for source in inputs.sources]


def test_a_folder_stands_for_all_pictures_below_it_with_their_places(place):
    place("p/b/x.png", "p/a/x.PNG", "p/y.jpg")
    inputs = gather("p")
    assert relative(inputs) == ["y.jpg", "a/x.PNG", "b/x.png"]
    assert not inputs.problems and not inputs.notes


def test_what_is_left_out_is_counted_by_suffix(place):
    place("p/x.png", "p/notes.txt", "p/a/more.TXT", "p/README", "p/raw.cr2", "p/x.sgc")
    assert gather("p").notes == ["p: left out, as they are no pictures: 1 .cr2, 2 .txt, 1 without a suffix"]


def test_hidden_files_and_folders_are_no_part_of_a_folder(place):
    place("p/x.png", "p/._x.png", "p/.x.png", "p/.hidden/x.png")
    inputs = gather("p")
    assert relative(inputs) == ["x.png"] and not inputs.notes
    assert relative(gather("p/._x.png")) == ["._x.png"]  # unless it is given by name


@pytest.mark.parametrize(
    ("argument", "part"),
    [
        ("", "names no file"),
        ("  ", "names no file"),
        ("none.png", "none.png: No such file or directory"),
        ("none/*.png", "none/*.png: no file matches"),
        ("empty", "empty: the folder holds no pictures"),
        ("texts", "texts: the folder holds no pictures; it holds 2 .txt"),
    ],
)
def test_an_argument_that_leads_nowhere_costs_itself_alone(place, argument, part):
    place("x.png", "y.png", "texts/a.txt", "texts/b.txt")
    Path("empty").mkdir()
    inputs = gather("x.png", argument, "y.png")
    assert names(inputs) == ["x.png", "y.png"]
    assert [problem[0] for problem in inputs.problems] == [argument] and part in inputs.problems[0][1]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("br[x]/*.png", ["br[x]/1.png", "br[x]/2.png"]),
        ("*/br[y]/?.png", ["deep/br[y]/3.png"]),
        ("br[x]/[1].png", ["br[x]/1.png"]),
        ("br[x]/**/*.png", ["br[x]/1.png", "br[x]/2.png", "br[x]/in/4.png"]),
        ("br[x]", ["br[x]/1.png", "br[x]/2.png", "br[x]/in/4.png"]),
        ("br[x]/1.png", ["br[x]/1.png"]),
        ("br*/*.png", ["br[x]/1.png", "br[x]/2.png", "brx/5.png"]),
    ],
)
def test_what_exists_as_written_is_no_pattern(place, pattern, expected):
    place("br[x]/1.png", "br[x]/2.png", "br[x]/in/4.png", "deep/br[y]/3.png", "brx/5.png", "br[x]/.6.png")
    assert sorted(names(gather(pattern))) == expected


def test_a_pattern_keeps_the_folders_below_its_first_wildcard(place):
    place("p/q/a/x.png", "p/q/b/x.png", "p/q/x.png")
    assert relative(gather("p/q/**/*.png")) == ["x.png", "a/x.png", "b/x.png"]
    place("br[x]/in/x.png")
    assert relative(gather("br[x]/*/*.png")) == ["in/x.png"]
    assert relative(gather("p/*")) == ["q/x.png", "q/a/x.png", "q/b/x.png"]  # a folder that matches is searched


def test_each_file_comes_once(place):
    place("p/x.png", "p/y.png")
    assert names(gather("p/x.png", "p", "./p/x.png", "p/*.png", os.path.abspath("p/y.png"))) == ["p/x.png", "p/y.png"]


def test_links_to_folders_are_not_followed_but_counted_and_broken_links_are_told(place):
    place("p/x.png")
    Path("p/loop").symlink_to("../p")
    Path("p/broken.png").symlink_to("nowhere.png")
    inputs = gather("p")
    assert relative(inputs) == ["x.png"]
    assert "1 links to folders" in inputs.notes[0]
    assert "broken.png: No such file" in inputs.problems[0][1]
