"""What the app does, without a browser: compress, cut, paint, draw, files to download."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sgc_diffusion import bitstream

pytest.importorskip("gradio")
from sgc_diffusion.app import work

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture()
def visit(tiny_pipeline, landscape):
    return work.compress(tiny_pipeline, landscape(96, 64), work.EVERYTHING)


def test_a_picture_is_compressed_and_cut_after_any_layer(visit, landscape):
    assert visit.num_layers > 3 and np.array_equal(np.asarray(work.show(visit)), np.asarray(landscape(96, 64)))
    sizes = [len(work.cut(visit, number).file) for number in range(visit.num_layers + 1)]
    assert sizes == sorted(sizes) and sizes[-1] == len(visit.data)
    cut = work.cut(visit, 1)
    assert len(cut.payload.layers) == 1 and bitstream.decode(cut.file) == cut.payload
    assert work.cut(cut, visit.num_layers).file == visit.data  # it recovers
    assert sum(visit.layer_bytes.values()) == len(visit.data)


def test_a_large_picture_is_reduced_and_what_is_none_is_refused(tiny_pipeline, landscape):
    visit = work.compress(tiny_pipeline, landscape(1100, 8), "120")
    assert visit.original.size == (1024, 7) and len(visit.data) <= 120
    with pytest.raises(ValueError, match="Drop a photograph"):
        work.compress(tiny_pipeline, None, "120")
    with pytest.raises(ValueError, match="`max_bytes`"):
        work.compress(tiny_pipeline, landscape(96, 64), "20")


def test_a_stroke_changes_the_labels_under_it_alone(visit):
    picture = work.label_picture(visit.payload)
    with pytest.raises(ValueError, match="Nothing is painted"):
        work.paint(visit, picture)
    color = visit.payload.labels.taxonomy.palette[visit.payload.labels.taxonomy.names.index("bridge")]
    painted = picture.convert("RGBA")
    painted.paste((*color.tolist(), 255), (0, 0, painted.width // 2, painted.height // 2))
    after = work.paint(visit, painted).payload
    height, width = after.label_map.shape
    inside = np.s_[: height // 2, : width // 2]
    assert (after.label_map[inside] == after.labels.taxonomy.names.index("bridge")).all() and not after.layers
    outside = np.ones((height, width), bool)
    outside[: height // 2 + 1, : width // 2 + 1] = False
    assert np.array_equal(after.label_map[outside], visit.payload.label_map[outside])


def test_it_is_drawn_as_was_asked_and_says_how_far_it_is(visit, tiny_pipeline):
    visit, told = work.cut(visit, 0), []
    drawn = work.draw(tiny_pipeline, visit, work.DIFFUSION, 4, 7, lambda done, total: told.append((done, total)))
    assert drawn.size == (96, 64) and told and told[-1][0] <= told[-1][1]
    plain = work.draw(tiny_pipeline, visit, work.NO_NETWORK, 4, 7, lambda *_: None)
    assert np.array_equal(np.asarray(plain), np.asarray(work.show(visit)))
    file, picture = work.save_files(visit, drawn)
    assert bitstream.decode(Path(file).read_bytes()) == visit.payload
    with Image.open(picture) as image:
        assert "not evidence" in image.info["Description"]
    work.save_files(visit, plain)
    with Image.open(picture) as image:
        assert "no network" in image.info["Description"]
    visit.folder.cleanup()
    assert not Path(file).exists()
