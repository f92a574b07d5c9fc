"""The anchors: real encoders, read back by other decoders; bytes, budgets, floors, sizes, colors."""

import subprocess
import sys

import av
import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_sample_image

from sgc_diffusion import SemanticCompressionPipeline
from sgc_diffusion.evaluation.codecs import ANCHORS, expand_specs, make_codec, vvc, yuv
from sgc_diffusion.evaluation.codecs.anchor import Anchor, FixedCodec, require_package
from sgc_diffusion.evaluation.codecs.annexb import decode_frame, mark_odd_size, true_size
from sgc_diffusion.evaluation.codecs.budget import find_quality
from sgc_diffusion.evaluation.codecs.reduced import SCALES, reduced_size
from sgc_diffusion.evaluation.codecs.specs import split_specs
from sgc_diffusion.evaluation.metrics.distortion import psnr

MIDDLE = {"vvc": 37, "hevc": 35, "av1": 50, "jpeg2000": 6, "jpeg": 50, "webp": 50, "jxl": 70}


@pytest.fixture(scope="module")
def photo():
    """A photograph of 96×64."""
    return Image.fromarray(load_sample_image("china.jpg")).crop((100, 60, 484, 316)).resize((96, 64))


def ffmpeg_decode(path, size, pixel_format="rgb24", input_options=()):
    """Decode by a program that neither encoded the file nor is what the harness decodes with."""
    program = imageio_ffmpeg.get_ffmpeg_exe()
    command = [program, "-loglevel", "error", *input_options, "-i", str(path), "-f", "rawvideo", "-pix_fmt"]
    result = subprocess.run([*command, pixel_format, "-"], capture_output=True, check=True)
    if pixel_format == "rgb24":
        return np.frombuffer(result.stdout, np.uint8).reshape(size[1], size[0], 3)
    return np.frombuffer(result.stdout, "<u2").reshape(size[1] * 3 // 2, size[0])


@pytest.mark.parametrize("size", [(96, 64), (37, 23)], ids=["even", "odd"])
@pytest.mark.parametrize("name", ANCHORS)
def test_an_anchor_brings_the_picture_back(name, size, photo, tmp_path):
    image = photo.resize(size, Image.Resampling.LANCZOS)
    codec = make_codec(f"{name}:{ANCHORS[name].parameter}={MIDDLE[name]}")
    codec.require()
    path = tmp_path / f"x{codec.suffix}"
    codec.encode(image, path)
    decoded = codec.decode_image(path)
    assert decoded.size == image.size and decoded.mode == "RGB"
    assert psnr(image, decoded) > 21
    assert path.stat().st_size < 0.5 * 3 * size[0] * size[1]
    assert psnr(image, decoded) > psnr(image, Image.new("RGB", size, (128, 128, 128))) + 5


@pytest.mark.parametrize("name", ["av1", "jpeg2000", "jpeg", "webp", "jxl"])
def test_another_program_reads_the_same_picture(name, photo, tmp_path):
    codec = make_codec(f"{name}:{ANCHORS[name].parameter}={MIDDLE[name]}")
    path = tmp_path / f"x{codec.suffix}"
    codec.encode(photo, path)
    ours = np.asarray(codec.decode_image(path), dtype=np.float64)
    assert np.abs(ours - ffmpeg_decode(path, photo.size)).mean() < 2.5  # they enlarge chroma differently


@pytest.mark.parametrize(
    ("name", "size"), [("vvc", (96, 64)), ("vvc", (51, 33)), ("hevc", (96, 64)), ("hevc", (51, 33))]
)
def test_two_decoders_agree_on_every_sample_of_a_video_frame(name, size, photo, tmp_path):
    codec = make_codec(f"{name}:qp=40")
    path = tmp_path / f"x{codec.suffix}"
    codec.encode(photo.resize(size), path)
    planes = decode_frame(path.read_bytes(), name)
    even = (size[0] + size[0] % 2, size[1] + size[1] % 2)
    other = ffmpeg_decode(path, even, "yuv420p10le", ("-f", name))
    assert np.array_equal(planes, other)


def test_a_vvc_file_holds_nothing_but_parameter_sets_and_the_picture(photo, tmp_path):
    path = tmp_path / "x.266"
    make_codec("vvc-paper").encode(photo, path)
    units = [part for part in path.read_bytes().split(b"\0\0\1") if part.strip(b"\0")]
    assert [unit[1] >> 3 for unit in units] == [15, 16, 8]  # sequence and picture parameter set, IDR picture
    assert path.stat().st_size < 250


def test_the_true_size_of_an_odd_picture_is_in_the_file():
    for size in [(8, 8), (7, 8), (8, 7), (7, 7)]:
        data = mark_odd_size(b"\0\0\1stream\x80", size)
        assert len(data) == len(b"\0\0\1stream\x80") + size[0] % 2 + 2 * (size[1] % 2)
        assert true_size(data, (8, 8)) == size
    with pytest.raises(ValueError, match="at most 3"):
        true_size(b"stream\x80" + bytes(4), (8, 8))


def test_a_damaged_stream_is_refused(photo):
    data = ANCHORS["vvc"].encode(photo, 50)
    for damaged in (b"\0\0\1not a stream", b"", data[: len(data) // 4], ANCHORS["hevc"].encode(photo, 50)):
        with pytest.raises(ValueError, match=r"`data` (is no vvc stream|must hold one)"):
            decode_frame(damaged, "vvc")


# ---- color ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [  # 4 · (16 + 219 Y), 4 · (128 + 224 C): BT.709 by hand
        ((255, 255, 255), (940, 512, 512)),
        ((0, 0, 0), (64, 512, 512)),
        ((255, 0, 0), (250, 409, 960)),
        ((0, 255, 0), (691, 167, 105)),
        ((0, 0, 255), (127, 960, 471)),
    ],
)
def test_colors_have_the_code_values_of_bt709(rgb, expected):
    planes = yuv.rgb_to_planes(Image.new("RGB", (4, 4), rgb)).ravel()
    assert (planes[0], planes[16], planes[20]) == expected
    assert np.abs(np.asarray(yuv.planes_to_rgb(planes.reshape(6, 4), (4, 4))).astype(int) - rgb).max() <= 1


def test_luma_is_that_of_another_converter(photo):
    frame = av.VideoFrame.from_ndarray(np.asarray(photo), format="rgb24")
    other = frame.reformat(format="yuv420p10le", dst_colorspace="ITU709").to_ndarray()
    ours = yuv.rgb_to_planes(photo)
    assert np.abs(ours[:64].astype(int) - other[:64]).max() <= 4  # one 8-bit step: it rounds its coefficients


@pytest.mark.parametrize("size", [(96, 64), (33, 21), (1, 1)])
def test_the_round_trip_of_colors_loses_little(photo, size):
    image = photo.resize(size)
    gray = image.convert("L").convert("RGB")
    assert psnr(image, yuv.planes_to_rgb(yuv.rgb_to_planes(image), size)) > 32  # chroma has a quarter of the samples
    assert psnr(gray, yuv.planes_to_rgb(yuv.rgb_to_planes(gray), size)) > 55


# ---- budgets ---------------------------------------------------------------------------------------------------------


class Wobbly(Anchor):
    """Not a codec: sizes that fall and rise as quality grows, for the search alone."""

    name, title, suffix, parameter, qualities, presets = "wobbly", "", "", "q", range(60), ()

    def __init__(self, seed):
        steps = np.random.default_rng(seed).integers(-3, 12, 60)
        self.sizes = np.maximum(20, 40 + np.cumsum(steps))

    def require(self): ...

    def versions(self):
        return {}

    def encode(self, image, quality):
        return bytes(int(self.sizes[int(quality)]))

    def decode(self, data):
        raise NotImplementedError


@pytest.mark.parametrize("seed", range(20))
def test_the_search_keeps_the_budget_where_sizes_wobble(seed):
    anchor = Wobbly(seed)
    for budget in range(10, 400, 13):
        for start in (0, 25):
            found = find_quality(anchor, lambda quality: anchor.encode(None, quality), budget, start)
            assert len(found.data) == anchor.sizes[found.index]
            if found.is_floor:
                assert anchor.sizes[:3].min() > budget
            else:
                assert len(found.data) <= budget
                assert (anchor.sizes[found.index + 1 : found.index + 4] > budget).all()


@pytest.mark.parametrize("name", ["jpeg", "webp", "jpeg2000"])
def test_the_search_finds_what_trying_every_setting_finds(name, photo):
    anchor = ANCHORS[name]
    sizes = [len(anchor.encode(photo, quality)) for quality in anchor.qualities]
    for budget in (sizes[len(sizes) // 4], sizes[len(sizes) // 2] + 3, sizes[-1] - 1):
        fitted, is_floor = make_codec(f"{name}@{budget}").fit(photo)
        index = list(anchor.qualities).index(fitted.quality)
        assert not is_floor and sizes[index] <= budget
        best = max(size for size in sizes if size <= budget)
        assert sizes[index] >= 0.9 * best


@pytest.mark.parametrize(("name", "size"), [*((name, (51, 33)) for name in ANCHORS), ("jpeg", (96, 64))])
def test_a_reduced_file_fits_and_comes_back_at_full_size(name, size, photo, tmp_path):
    image = photo.resize(size)
    budget = {"jpeg": 700, "av1": 420, "jpeg2000": 250}.get(name, 180)
    fitted, is_floor = make_codec(f"{name}-down@{budget}").fit(image)
    path = tmp_path / f"x{fitted.suffix}"
    result = make_codec(fitted.spec).encode(image, path)
    assert not is_floor and path.stat().st_size <= budget
    assert result["scale"] == 1 / fitted.scale
    decoded = make_codec(f"{name}-down@{budget}").decode_image(path)  # told nothing but the file
    assert decoded.size == size
    assert psnr(image, decoded) > 15
    again, plain_is_floor = make_codec(f"{name}@{budget}").fit(image)
    if not plain_is_floor:  # reducing is one more choice, so it loses two bytes at most
        again.encode(image, path)
        assert psnr(image, decoded) > psnr(image, again.decode_image(path)) - 0.5


@pytest.mark.parametrize("spec", ["jpeg@100", "jpeg-down@100", "vvc@40", "av1-down@60"])
def test_a_floor_is_said_to_be_one(spec, photo):
    fitted, is_floor = make_codec(spec).fit(photo)
    assert is_floor
    anchor = ANCHORS[fitted.family]
    assert fitted.quality in list(anchor.qualities)[:3]


def test_every_scale_and_size_can_be_told_in_two_bytes(tmp_path):
    for scale in SCALES:
        for size in [(97, 64), (33, 130), (128, 128), (111, 95)]:
            image, path = Image.new("RGB", size, (90, 120, 30)), tmp_path / "x.jpg"
            make_codec(f"jpeg-down:quality=50:scale={scale}:filter=bicubic").encode(image, path)
            assert make_codec("jpeg-down@9").decode_image(path).size == size
            assert scale == 1 or all(part % 2 == 0 for part in reduced_size(size, scale))


# ---- specs and tools -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("h264", "must be sgc, vvc"),
        ("vvc", "must be like vvc:qp=NUMBER"),
        ("vvc:qp=70", "from 0 to 63"),
        ("vvc:qp=55:preset=fast", "preset is no option"),
        ("vvc@lots", "vvc@300"),
        ("jpeg-down:quality=5:scale=5", "`scale` must be one of"),
        ("vvc:qp=55:qp=47", "each option once"),
        ("jpeg-down:quality=50.5:scale=2", "`quality` of jpeg must be a whole number from 1 to 100, got 50.5"),
        ("sgc:color=red", "`color` is no option of sgc"),
        ("sgc:", "`` is no option of sgc"),
        ("sgc:steps", "`steps` is no option of sgc"),
        ("sgc:steps=many", "`steps` of sgc must be a whole number, got 'many'"),
        ("sgc:steps=4:color=red", "`steps` of sgc must be a whole number, got '4:color=red'"),
        ("sgc:steps=4:steps=8", "`steps` of sgc must be given once, got '4' and '8'"),
        ("sgc:steps=0", "`steps` of sgc must be from 1 to 1000, got 0"),
        ("sgc:strength=nan", "`strength` of sgc must be from 0.01 to 1, got nan"),
        ("sgc:guidance=inf", "`guidance` of sgc must be from 0, got inf"),
        ("sgc:max_bytes=0", "`max_bytes` of sgc must be from 1, got 0"),
        ("sgc:scheduler=nice", "`scheduler` of sgc must be one of"),
        ("sgc:preset=nice", "`preset` must be one of"),
    ],
)
def test_a_wrong_spec_is_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        make_codec(spec)


def test_a_spec_makes_the_same_codec_again_and_names_are_file_names():
    specs = ["vvc-paper", "vvc@300", "jpeg2000:ratio=62.5", "hevc-down@budget", "sgc:steps=4:preset=paper", "sgc"]
    specs.append("webp-down:quality=3:scale=6:filter=bicubic")
    for spec in specs:
        codec = make_codec(spec)
        assert codec.spec == spec
        assert set(codec.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert make_codec("vvc-paper").quality == 55


PATH = st.text("ab:@=,\\\\/ .é", min_size=1)  # what names of folders and files may hold


@given(PATH, PATH, st.permutations(["pipeline", "segmenter", "steps"]))
@example("C:\\m", "torchvision/deeplabv3_resnet101:/w.pth", ["pipeline", "segmenter", "steps"])
@example("/me@x/p", "a:b=c", ["segmenter", "steps", "pipeline"])
@example("/me@budget", "a,b", ["segmenter", "steps", "pipeline"])
def test_options_of_sgc_are_whole_whatever_they_hold(pipeline, segmenter, order):
    options = {"pipeline": pipeline, "segmenter": segmenter, "steps": "4"}
    options = {key: options[key] for key in order}
    spec = ":".join(["sgc", *(f"{key}={value}" for key, value in options.items())])
    codec = make_codec(spec)
    assert (codec.spec, codec.options, codec.pipeline_name) == (spec, options, pipeline)
    assert split_specs(f"vvc,{spec},jpeg-down@budget,vvc-paper") == ["vvc", spec, "jpeg-down@budget", "vvc-paper"]
    assert expand_specs([spec, "vvc@budget"], 300) == [spec, "vvc@300"]


def test_every_setting_of_an_anchor_can_be_written_and_read():
    for anchor in ANCHORS.values():
        for quality in anchor.qualities:
            codec = FixedCodec(anchor, quality)
            assert make_codec(codec.spec).quality == quality
            assert float(codec.setting.split()[1]) == quality


@pytest.mark.parametrize("name", sorted(set(ANCHORS) - {"jpeg2000"}))
def test_a_setting_between_two_is_refused_not_rounded(name):
    with pytest.raises(ValueError, match=r"must be a whole number from [01] to \d+, got 40\.5"):
        make_codec(f"{name}:{ANCHORS[name].parameter}=40.5")


def test_a_ratio_is_coded_as_it_is_reported(photo):
    sizes = [len(make_codec(f"jpeg2000:ratio={ratio}").anchor.encode(photo, ratio)) for ratio in (20, 21.5, 23)]
    assert sizes[0] > sizes[1] > sizes[2]
    assert make_codec("jpeg2000:ratio=21.5").setting == "ratio 21.5"


def test_two_codecs_of_one_name_are_refused():
    with pytest.raises(ValueError, match=r"sgc:pipeline=/a/m and sgc:pipeline=/b/m would both write sgc-pipeline-m"):
        expand_specs(["sgc:pipeline=/a/m", "sgc:pipeline=/b/m"], None)
    assert expand_specs(["vvc:qp=55", "vvc:qp=55.0"], None) == ["vvc:qp=55"]


def test_the_key_of_a_result_does_not_depend_on_its_title(monkeypatch):
    specs = ["vvc-paper", "vvc@300", "vvc-down@budget", "vvc:qp=47", "vvc-down:qp=3:scale=6:filter=bicubic"]
    before = [(codec.spec, codec.name) for codec in map(make_codec, specs)]
    monkeypatch.setattr(ANCHORS["vvc"], "title", "Something else", raising=False)
    after = [make_codec(spec) for spec in specs]
    assert [(codec.spec, codec.name) for codec in after] == before
    assert all("Something else" in codec.title for codec in after)


def test_bare_anchors_are_written_out():
    assert expand_specs(["vvc"], None) == ["vvc:qp=63", "vvc:qp=55", "vvc:qp=47", "vvc:qp=39"]
    assert expand_specs(["jpeg", "sgc"], "same") == ["sgc", "jpeg@budget", "jpeg-down@budget"]
    assert expand_specs(["jpeg", "webp@budget"], 500) == ["jpeg@500", "jpeg-down@500", "webp@500"]
    with pytest.raises(ValueError, match="must be given"):
        expand_specs(["vvc@budget"], None)
    with pytest.raises(ValueError, match="needs sgc"):
        expand_specs(["vvc"], "same")


def test_a_missing_tool_is_named_with_what_installs_it(monkeypatch):
    with pytest.raises(ImportError, match=r"pip install 'sgc-diffusion\[vvc\]'"):
        require_package("no_such_module", "PyAV", "vvc", "VVC")
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", sys.executable)  # a program without libvvenc
    monkeypatch.setenv("PATH", "")
    vvc._encoder.cache_clear()
    try:
        with pytest.raises(ImportError, match="put vvencapp"):
            make_codec("vvc:qp=55").require()
    finally:
        vvc._encoder.cache_clear()


def test_a_picture_too_small_for_a_codec_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least 16 pixels"):
        make_codec("vvc:qp=55").encode(Image.new("RGB", (9, 40)), tmp_path / "x.266")
    assert not (tmp_path / "x.266").exists()


def test_sgc_draws_by_seed_from_its_file(tiny_pipeline_folder, landscape, tmp_path):
    codec = make_codec(f"sgc:pipeline={tiny_pipeline_folder}:steps=2")
    codec.require()
    path = tmp_path / "x.sgc"
    codec.encode(landscape(64, 48), path)
    first, again, other = (np.asarray(codec.decode_image(path, seed=seed)) for seed in (0, 0, 1))
    assert first.shape == (48, 64, 3)
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    pipe = SemanticCompressionPipeline.from_pretrained(tiny_pipeline_folder)
    drawn = pipe.decompress(path.read_bytes(), num_inference_steps=2).images[0]
    assert np.array_equal(first, np.asarray(drawn))  # what everybody sees who draws the file
    with pytest.raises(ValueError, match="no known pipeline"):
        make_codec("sgc:pipeline=nowhere").require()


def test_sgc_keeps_a_budget_of_its_own(photo, tiny_pipeline_folder, tmp_path):
    codec = make_codec("sgc:max_bytes=60")
    assert (codec.name, codec.title) == ("sgc-max-bytes-60", "SGC (landscape-256), ≤ 60 B")
    make_codec(f"sgc:pipeline={tiny_pipeline_folder}:max_bytes=60").encode(photo, tmp_path / "a.sgc")
    assert 30 < (tmp_path / "a.sgc").stat().st_size <= 60
