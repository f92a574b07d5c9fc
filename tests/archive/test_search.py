"""Search: what DuckDB answers is what counting every picture gives, and no question can do harm."""

import dataclasses
import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from sgc_diffusion import bitstream
from sgc_diffusion.archive.contact_sheet import contact_sheet
from sgc_diffusion.archive.contents import iterate_shards
from sgc_diffusion.archive.description import color_hash, color_layout, label_layout
from sgc_diffusion.archive.layout import Archive, ArchiveError
from sgc_diffusion.archive.likeness import search_like
from sgc_diffusion.archive.packing import pack
from sgc_diffusion.archive.search import ask, count_matches, search
from sgc_diffusion.cli import main
from sgc_diffusion.payload import RegionsLayer
from sgc_diffusion.taxonomy import load_taxonomy


@pytest.fixture(scope="module")
def payloads(album):
    rows = [row for _, table in iterate_shards(album) for row in table.to_pylist()]
    return {row["image_id"].hex(): bitstream.decode(row["sgc"]) for row in rows}


def share(payload, name):
    return float((payload.label_map == load_taxonomy("landscape-24").names.index(name)).mean())


@pytest.mark.parametrize("limit", [0, 0.05, 0.2, 0.5])
def test_class_shares_and_sizes(album, payloads, limit):
    common = max(load_taxonomy("landscape-24").names, key=lambda name: sum(share(p, name) for p in payloads.values()))
    expected = {key for key, p in payloads.items() if share(p, common) > limit and p.width > 40}
    rows = search(album, f"{common} > {limit} and width > 40", limit=100)
    assert {row["image_id"] for row in rows} == expected
    assert count_matches(album, f"{common} > {limit} and width > 40") == len(expected)


def test_a_class_that_is_called_like_a_column(album, payloads):
    name = "path"
    expected = {key for key, payload in payloads.items() if share(payload, name) > 0}
    assert {row["image_id"] for row in search(album, "path_share > 0", limit=100)} == expected
    assert search(album, "path like '%.png'", limit=1)


def test_likeness_is_the_documented_distance(album, payloads):
    wanted = next(iter(payloads.values()))
    rows = search_like(album, wanted, limit=7)

    def distance(payload):
        labels = np.mean(label_layout(payload.label_map) != label_layout(wanted.label_map))
        colors = color_layout(payload.color_map).astype(int) - color_layout(wanted.color_map)
        return labels / 2 + np.abs(colors).mean() / 510

    brute = sorted(distance(payload) for payload in payloads.values())[:7]
    np.testing.assert_allclose([row["distance"] for row in rows], brute, atol=1e-6)
    assert rows[0]["distance"] == 0
    np.testing.assert_allclose([distance(payloads[row["image_id"]]) for row in rows], brute, atol=1e-6)
    assert search_like(album, wanted, "width = 41", limit=1)[0]["width"] == 41


def test_pictures_with_regions_are_compared_by_them(packed_once, album, payloads, encoder_options, tmp_path):
    names = load_taxonomy("landscape-24").names
    common = max(names, key=lambda name: sum(0.1 < share(p, name) < 0.9 for p in payloads.values()))
    options = dataclasses.replace(encoder_options, region_classes=common)
    for _ in pack([str(packed_once / "photos")], tmp_path / "kept", options):
        pass
    archive = Archive.open(tmp_path / "kept")
    rows = [row for _, table in iterate_shards(archive) for row in table.to_pylist()]
    kept = {row["image_id"].hex(): bitstream.decode(row["sgc"]) for row in rows}
    wanted = next(payload for payload in kept.values() if payload.layer(RegionsLayer))

    def layout(payload):
        regions = payload.layer(RegionsLayer)
        if regions is None:
            return np.zeros((4, 4))
        inside = regions.pixels(payload.height, payload.width)
        cells = [np.array_split(part, 4, axis=1) for part in np.array_split(inside, 4)]
        return np.array([[cell.mean() for cell in row] for row in cells])

    def distance(payload):
        labels = np.mean(label_layout(payload.label_map) != label_layout(wanted.label_map))
        colors = color_layout(payload.color_map).astype(int) - color_layout(wanted.color_map)
        return (labels + np.abs(colors).mean() / 255 + np.abs(layout(payload) - layout(wanted)).mean()) / 3

    of_size = {key: p for key, p in kept.items() if (p.width, p.height) == (wanted.width, wanted.height)}
    found = search_like(archive, wanted, f"width = {wanted.width}", limit=100)
    expected = [distance(of_size[row["image_id"]]) for row in found]
    np.testing.assert_allclose([row["distance"] for row in found], expected, atol=0.05)
    assert found[0]["distance"] == 0 and max(map(float, (row["distance"] for row in found))) > 0.1
    assert search_like(album, wanted, limit=1)[0]["distance"] > 0  # which has no regions
    with pytest.raises(ValueError, match="nonsense"):
        list(pack([], tmp_path / "other", dataclasses.replace(options, region_classes="nonsense")))


def test_layouts_and_hashes():
    color_map = np.zeros((8, 9, 3), np.uint8)
    color_map[2, 4:] = 200
    assert color_hash(color_map) == 1 << (8 * 2 + 3)
    assert color_hash(np.repeat(np.repeat(color_map, 2, 0), 2, 1)) == color_hash(color_map)
    assert color_layout(np.full((5, 3, 3), 101, np.uint8)).tolist() == np.full((4, 4, 3), 104).tolist()
    label_map = np.arange(16, dtype=np.uint8).reshape(4, 4)
    assert (label_layout(np.kron(label_map, np.ones((3, 2), np.uint8))) == label_map).all()
    assert label_layout(np.array([[3, 5]], np.uint8)).tolist() == [[3, 3, 5, 5]] * 4


@pytest.mark.parametrize(
    "query",
    [
        "DROP VIEW pictures",
        "COPY pictures TO 'out.csv'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT 1; SELECT 2",
        "SELECT nonsense FROM pictures",
        "SELECT",
    ],
)
def test_only_questions_about_the_archive_are_answered(album, query):
    with pytest.raises(ArchiveError):
        ask(album, query)


def test_a_wrong_expression_is_one_line_that_says_what_there_is(album):
    with pytest.raises(ArchiveError, match=r'"treee".*"tree"') as caught:
        search(album, "treee > 0.1")
    assert "\n" not in str(caught.value)


def test_contact_sheet(payloads):
    files = [bitstream.encode(payload) for payload in list(payloads.values())[:5]]
    sheet = contact_sheet(files, ["a long caption that does not fit below its picture"] * 5)
    assert sheet.size == (3 * 168 + 8, 2 * 182 + 8) and len(set(sheet.getdata())) > 50


def test_torch_is_not_needed(album):
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['ray'] = None\n"
        "from sgc_diffusion.cli import main\n"
        "sys.exit(main(['archive', 'search', sys.argv[1], 'sky >= 0', '--limit', '2']))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(album.folder)], capture_output=True, check=False)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 2, done.stderr


def test_a_contact_sheet_and_a_file_can_go_to_standard_output(album, capfdbinary):
    assert main(["archive", "search", str(album.folder), "--limit", "2", "--contact-sheet", "-"]) == 0
    captured = capfdbinary.readouterr()
    assert Image.open(io.BytesIO(captured.out)).format == "PNG" and captured.out.endswith(b"IEND\xaeB`\x82")
    rows = captured.err.decode().splitlines()
    assert len(rows) == 2
    assert main(["archive", "get", str(album.folder), rows[0].split()[0], "-o", "-"]) == 0
    assert bitstream.decode(capfdbinary.readouterr().out).width > 0
