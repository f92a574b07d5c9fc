"""What a file keeps beside the picture: alpha, ICC profile, EXIF; from a picture file to the decoded picture."""

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from sgc_diffusion import bitstream
from sgc_diffusion.analysis.alpha import exact_alpha, fill_invisible, fit_alpha
from sgc_diffusion.analysis.image_input import load_picture
from sgc_diffusion.analysis.metadata import upright_exif
from sgc_diffusion.analysis.sample_range import RoundedSamplesWarning
from sgc_diffusion.payload import AlphaLayer, ExifLayer, IccProfileLayer
from sgc_diffusion.synthesis.likeness import likeness

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()  # with the time of day in it
GRAY_PROFILE_START = (160).to_bytes(4, "big") + bytes(12) + b"GRAY" + bytes(16) + b"acsp" + bytes(120)


def soft_picture(width=48, height=40, seed=0):
    """Return an RGBA picture: noise, with a disk that is opaque inside and soft at its edge."""
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 256, (height, width, 4), dtype=np.uint8)
    distance = np.hypot(*(np.mgrid[:height, :width] - np.array([height / 2, width / 2])[:, None, None]))
    pixels[..., 3] = np.clip((height / 2.5 - distance) * 100, 0, 255)
    return Image.fromarray(pixels)


def exif(orientation):
    data = Image.Exif()
    data[ExifTags.Base.Make], data[ExifTags.Base.Orientation] = "a camera", orientation
    return data.tobytes()


@pytest.mark.parametrize(("step", "num_levels"), [(255, 2), (85, 4), (17, 16), (1, 256)])
def test_alpha_takes_as_few_levels_as_say_it(step, num_levels):
    alpha = (np.arange(40).reshape(5, 8) * step % (255 + step)).astype(np.uint8)
    assert exact_alpha(alpha).num_levels == num_levels and np.array_equal(exact_alpha(alpha).alpha_map, alpha)


def test_alpha_is_as_fine_as_its_bytes_allow():
    alpha = np.asarray(soft_picture(200, 150).getchannel("A"))

    def count(layer):
        return len(bitstream.layers.coder_of(layer).encode(layer, bitstream.DecodedLayers(200, 150)))

    errors = []
    for num_bytes in (20, 40, 100, 200, 2000):
        layer = fit_alpha(alpha, num_bytes, count)
        assert count(layer) <= num_bytes
        errors.append(float(np.abs(layer.alpha(150, 200).astype(int) - alpha).mean()))
    assert errors == sorted(errors, reverse=True) and errors[-1] == 0 and errors[0] < 32
    assert fit_alpha(alpha, 3, count) is None


def test_invisible_pixels_take_the_colors_around_them():
    pixels = np.zeros((37, 50, 4), np.uint8)
    pixels[5:20, 10:30] = (200, 100, 50, 255)
    image = Image.fromarray(pixels)
    filled = np.asarray(fill_invisible(image.convert("RGB"), image.getchannel("A")))
    assert np.abs(filled.astype(int) - (200, 100, 50)).max() <= 8
    assert np.array_equal(filled[5:20, 10:30], pixels[5:20, 10:30, :3])
    opaque = image.convert("RGB")
    assert fill_invisible(opaque, Image.new("L", opaque.size, 1)) is opaque


def test_a_lossless_file_gives_every_sample_back(tiny_pipeline):
    picture = soft_picture()
    payload = bitstream.decode(tiny_pipeline.compress(picture, quality=100))
    assert np.array_equal(np.asarray(tiny_pipeline.likeness(payload)), np.asarray(picture))
    over_white = tiny_pipeline.analyze(picture, quality=100, keep_alpha=False)
    assert over_white.layer(AlphaLayer) is None
    assert np.array_equal(likeness(over_white), np.asarray(load_picture(picture, None).image))


@pytest.mark.parametrize(
    "options", [{}, {"quality": 40}, {"max_bytes": 300}, {"max_bytes": 1500}, {"max_bytes": 10**5}]
)
def test_alpha_is_there_whatever_is_asked_for(tiny_pipeline, options):
    picture = soft_picture()
    data = tiny_pipeline.compress(picture, **options)
    assert len(data) <= options.get("max_bytes", 10**6)
    payload = bitstream.decode(data)
    alpha, true = payload.layer(AlphaLayer).alpha(40, 48), np.asarray(picture.getchannel("A"))
    assert np.abs(alpha.astype(int) - true).mean() < 12
    drawn = tiny_pipeline.decompress(data, num_inference_steps=1).images[0]
    assert drawn.mode == "RGBA" and np.array_equal(np.asarray(drawn.getchannel("A")), alpha)
    if options == {"max_bytes": 10**5}:
        assert np.array_equal(np.asarray(tiny_pipeline.likeness(payload)), np.asarray(picture))


def test_where_no_alpha_fits_the_picture_is_over_white(tiny_pipeline):
    payload = tiny_pipeline.analyze(soft_picture(), max_bytes=40)
    assert payload.layer(AlphaLayer) is None and payload == tiny_pipeline.analyze(
        soft_picture(), max_bytes=40, keep_alpha=False
    )


def test_an_opaque_picture_has_no_alpha(tiny_pipeline, landscape):
    picture = landscape(40, 40)
    assert tiny_pipeline.analyze(picture.convert("RGBA")) == tiny_pipeline.analyze(picture)


def test_metadata_are_kept_where_they_are_asked_for(tiny_pipeline, tmp_path, landscape):
    landscape(48, 32).save(tmp_path / "turned.png", exif=exif(6), icc_profile=PROFILE)
    payload = tiny_pipeline.analyze(tmp_path / "turned.png", keep_metadata=True, quality=100)
    assert payload.layer(IccProfileLayer).profile == PROFILE
    assert payload.layer(ExifLayer).exif == exif(1).removeprefix(b"Exif\0\0")
    assert (payload.width, payload.height) == (32, 48)
    decoded = tiny_pipeline.likeness(payload)
    assert np.array_equal(np.asarray(decoded), np.asarray(landscape(48, 32).transpose(Image.Transpose.ROTATE_270)))
    assert decoded.info["icc_profile"] == PROFILE
    plain = tiny_pipeline.analyze(tmp_path / "turned.png")
    assert plain.layers == ()
    with pytest.raises(ValueError, match=r"`keep_metadata`: .* take \d+ bytes, the whole file may take 200"):
        tiny_pipeline.analyze(tmp_path / "turned.png", keep_metadata=True, max_bytes=200)
    assert len(tiny_pipeline.compress(tmp_path / "turned.png", keep_metadata=True, max_bytes=1500)) <= 1500


def test_pixels_stay_in_the_colors_of_a_profile_that_is_kept(tiny_pipeline, tmp_path):
    wide = bytearray(PROFILE)
    place = wide.find(b"rXYZ")
    start = int.from_bytes(wide[place + 4 : place + 8], "big") + 8
    wide[start : start + 4] = (0x9000).to_bytes(4, "big")  # another red
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8))
    picture.save(tmp_path / "wide.png", icc_profile=bytes(wide))
    kept = tiny_pipeline.analyze(tmp_path / "wide.png", keep_metadata=True, quality=100)
    assert np.array_equal(likeness(kept), np.asarray(picture))
    assert not np.array_equal(likeness(tiny_pipeline.analyze(tmp_path / "wide.png", quality=100)), np.asarray(picture))


def test_a_gray_profile_stays_with_gray_pixels(tiny_pipeline, tmp_path):
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (20, 30), dtype=np.uint8))
    picture.save(tmp_path / "gray.png", icc_profile=GRAY_PROFILE_START)
    payload = tiny_pipeline.analyze(tmp_path / "gray.png", keep_metadata=True, quality=100)
    decoded = tiny_pipeline.likeness(payload)
    assert decoded.mode == "L" and np.array_equal(np.asarray(decoded), np.asarray(picture))


def test_rounded_samples_are_told_of_where_the_file_is_lossless(tiny_pipeline, tmp_path, recwarn):
    deep = np.random.default_rng(1).integers(0, 65536, (20, 30), dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    with pytest.warns(RoundedSamplesWarning, match="rounded to 8"):
        payload = tiny_pipeline.analyze(tmp_path / "deep.png", quality=100)
    assert np.array_equal(likeness(payload)[..., 0], np.rint(deep / 257).astype(np.uint8))
    recwarn.clear()
    tiny_pipeline.analyze(tmp_path / "deep.png", quality=90)
    tiny_pipeline.analyze((deep >> 8).astype(np.uint8), quality=100)
    assert not [entry for entry in recwarn if issubclass(entry.category, RoundedSamplesWarning)]


@pytest.mark.parametrize("order", ["<", ">"])
def test_only_the_orientation_of_exif_changes(order):
    image = Image.Exif()
    image.endian = order
    image[ExifTags.Base.Make], image[ExifTags.Base.Orientation] = "a camera", 8
    data = image.tobytes()
    turned = upright_exif(data)
    assert sum(a != b for a, b in zip(turned, data.removeprefix(b"Exif\0\0"), strict=True)) == 1
    read = Image.Exif()
    read.load(turned)
    assert dict(read) == {ExifTags.Base.Make: "a camera", ExifTags.Base.Orientation: 1}
    assert upright_exif(turned) == turned


@pytest.mark.parametrize(
    "data", [b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"nonsense", b"MM\0*\0\0\0\x08\0\x09\x01\x12"]
)
def test_damaged_exif_is_left_out(data):
    assert upright_exif(data) is None
