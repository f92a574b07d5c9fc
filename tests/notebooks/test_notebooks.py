"""Every notebook runs, offline, and what its last cell shows is true."""

import ast
import re
import tomllib
from pathlib import Path

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = ("01_round_trip", "02_inside_the_bitstream", "03_evaluation", "04_the_ladder")


def read(name):
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    return notebook


def run(name, folder):
    """Run all cells in an empty folder, which has to stay so; return the value that the last one shows."""
    notebook = read(name)
    NotebookClient(notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()
    assert not list(folder.iterdir())
    (output,) = [output for output in code_cells(notebook)[-1].outputs if output.output_type == "execute_result"]
    return ast.literal_eval(output.data["text/plain"]), notebook


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def pictures_shown(notebook):
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs if "data" in output]
    return sum("image/png" in output.data for output in outputs)


@pytest.mark.timeout(900)  # in less than a minute on two idle cores
def test_a_picture_comes_back_with_its_size_and_colors(tmp_path):
    shown, notebook = run("01_round_trip", tmp_path)
    assert 100 < shown["size_bytes"] < 300 and shown["same_size"]
    assert shown["color_psnr_db"] > 30 > shown["pixel_psnr_db"]
    assert pictures_shown(notebook) == 6


@pytest.mark.timeout(900)
def test_bytes_add_up_and_an_edit_changes_what_was_edited(tmp_path):
    shown, notebook = run("02_inside_the_bitstream", tmp_path)
    assert shown["sum_of_parts"] == shown["num_bytes"] and shown["lossless"] and shown["damaged_but_read"] == 0
    for edit in ("building to tree", "rock to sea"):
        assert shown[edit]["inside"] > 2 * shown[edit]["outside"]
    assert pictures_shown(notebook) == 5


@pytest.mark.timeout(900)
def test_codecs_are_measured_on_files_and_reported(tmp_path):
    shown, notebook = run("03_evaluation", tmp_path)
    assert shown["bytes_of_the_row"] == shown["bytes_on_disk"] > 0
    assert {name.split("-")[0] for name in shown["codecs"]} == {"sgc", "vvc", "webp", "jpeg", "original"}
    assert shown["files"] == ["report.html", "report.md", "summary.csv"]
    markdown = [
        output.data["text/markdown"]
        for cell in code_cells(notebook)
        for output in cell.outputs
        if "data" in output and "text/markdown" in output.data
    ]
    assert "## Who wins where" in markdown[0] and "on all" in markdown[0]
    assert pictures_shown(notebook) == 2


@pytest.mark.timeout(900)
def test_every_cut_of_the_ladder_is_nearer_and_the_last_is_exact(tmp_path):
    shown, notebook = run("04_the_ladder", tmp_path)
    assert shown["exact"] and shown["commutes"] and shown["size_of_60"] <= 60
    assert len(shown["sizes"]) == 8 and shown["sizes"] == sorted(shown["sizes"])
    assert shown["quality_db"] == sorted(shown["quality_db"]) and shown["quality_db"][-1] > 40
    assert pictures_shown(notebook) == 4


def test_the_notebooks_are_these():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_stripped(name):
    for cell in code_cells(read(name)):
        assert (cell.outputs, cell.execution_count, dict(cell.metadata)) == ([], None, {})


@pytest.fixture()
def first_cell(monkeypatch):
    """Run the first cell of a notebook; return what it would have pip install."""

    def run_it(name, missing, repository=None):
        monkeypatch.setattr("importlib.util.find_spec", lambda module: None if module in missing else object())
        source = code_cells(read(name))[0].source.replace("REPOSITORY = None", f"REPOSITORY = {repository!r}")
        shell = InteractiveShell()
        asked = []
        shell.register_magic_function(asked.append, magic_name="pip")
        shell.run_cell(source).raise_error()
        return asked

    return run_it


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("missing", ["sgc_diffusion", "sklearn"])
def test_the_first_cell_installs_the_clone_if_something_is_missing(name, missing, first_cell, monkeypatch):
    monkeypatch.chdir(FOLDER)
    assert first_cell(name, ()) == []
    (asked,) = first_cell(name, (missing,))
    folder, _, extras = asked.removeprefix('install --quiet "').removesuffix(']"').partition("[")
    project = tomllib.loads((FOLDER / folder / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(extras.split(",")) <= set(project["optional-dependencies"])


@pytest.mark.parametrize("name", NAMES)
def test_the_first_cell_says_what_to_do_where_there_is_no_clone(name, first_cell, monkeypatch, tmp_path):
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    with pytest.raises(SystemExit, match="open this notebook in a clone of its repository, or set REPOSITORY"):
        first_cell(name, ("sgc_diffusion",))
    (asked,) = first_cell(name, ("sgc_diffusion",), "git+file:///somewhere")
    assert re.fullmatch(r'install --quiet "sgc-diffusion\[[a-z,]+\] @ git\+file:///somewhere"', asked)


def test_the_first_cell_of_the_evaluation_asks_for_what_it_needs(first_cell, monkeypatch):
    monkeypatch.chdir(FOLDER)
    assert first_cell("03_evaluation", ("av",)) == ['install --quiet "..[eval,notebooks,vvc]"']
