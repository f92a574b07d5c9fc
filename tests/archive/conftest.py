import numpy as np
import pytest

from sgc_diffusion.archive.layout import Archive, EncoderOptions
from sgc_diffusion.archive.packing import pack


def write_pictures(folder, count, landscape, first=0):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        landscape(40 + number % 3, 32, seed=number).save(folder / f"{number:03}.png")


@pytest.fixture(scope="session")
def encoder_options(tiny_pipeline_folder):
    return EncoderOptions(pipeline=str(tiny_pipeline_folder))


@pytest.fixture(scope="session")
def packed_once(tmp_path_factory, landscape, encoder_options):
    """A folder `photos` of 22 pictures and two that are none, and the archive `album` of it, in units of 5."""
    place = tmp_path_factory.mktemp("packed")
    write_pictures(place / "photos", 22, landscape)
    (place / "photos" / "below").mkdir()
    (place / "photos" / "000.png").rename(place / "photos" / "below" / "000.png")
    (place / "photos" / "broken.jpg").write_bytes(b"no picture")
    (place / "photos" / "cut.png").write_bytes((place / "photos" / "001.png").read_bytes()[:300])
    last = list(pack([str(place / "photos")], place / "album", encoder_options, unit_size=5))[-1]
    assert (last.num_pictures, last.num_dead) == (22, 2)
    return place


@pytest.fixture()
def packed(packed_once, tmp_path):
    """A copy of it that a test may change."""
    import shutil

    shutil.copytree(packed_once, tmp_path / "packed")
    return tmp_path / "packed"


@pytest.fixture(scope="session")
def album(packed_once):
    return Archive.open(packed_once / "album")


def contents_of(archive):
    """Return name → bytes of all that counts of an archive."""
    return {
        str(path.relative_to(archive.folder)): path.read_bytes()
        for name in ("shards", "dead", "commits")
        for path in sorted((archive.folder / name).iterdir())
    }


@pytest.fixture(scope="session")
def read_all():
    return contents_of


@pytest.fixture(scope="session")
def add_pictures(landscape):
    return lambda folder, count, first=0: write_pictures(folder, count, landscape, first)


@pytest.fixture(scope="session")
def detailed():
    """Payloads of one picture by finest detail level, with its pixels."""
    from sgc_diffusion.analysis.detail import add_detail
    from sgc_diffusion.payload import ColorLayer, LabelLayer, SemanticPayload

    def make(seed, finest, width=48, height=40, roughness=60):
        rng = np.random.default_rng(seed)
        slope = np.linspace(0, 200, width)[None, :, None] + np.zeros((height, 1, 3))
        picture = np.clip(slope + rng.normal(0, roughness, (height, width, 3)), 0, 255).astype(np.uint8)
        color = ColorLayer.from_color_map(picture[::8, ::8].copy(), 32)
        labels = LabelLayer(rng.integers(0, 3, (4, 4)).astype(np.uint8), "landscape-24")
        return add_detail(SemanticPayload(width, height, labels, color), picture, finest), picture

    return make
