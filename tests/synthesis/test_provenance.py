import copy
import io
import pickle
import warnings
from xml.etree import ElementTree

import pillow_jxl  # noqa: F401 - registers JPEG XL
import pytest
from PIL import Image, ImageFilter, ImageOps, PngImagePlugin, TiffImagePlugin

from sgc_diffusion.atomic_file import atomic_path
from sgc_diffusion.synthesis.provenance import DIGITAL_SOURCE_TYPE, GeneratedImage, mark_generated, save_image

XMP_SUFFIXES = [".png", ".jpg", ".jfif", ".webp", ".avif", ".tif", ".tiff"]  # whose packet Pillow reads back
RDF, DC = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}", "{http://purl.org/dc/elements/1.1/}"
SOURCE_TYPE = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
THEIR_XMP = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><r:Description r:about=""
 xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:rights>Mine alone: ©</dc:rights></r:Description>
</r:RDF></x:xmpmeta><?xpacket end="w"?>""".encode()


@pytest.fixture()
def picture():
    return mark_generated(Image.radial_gradient("L").convert("RGB"), 147, "landscape-256")


def read_packet(path):
    with Image.open(path) as saved:
        packet = saved.info["xmp"]
    return ElementTree.fromstring(packet if isinstance(packet, bytes) else packet.encode())


def source_types(root):
    return [block.get(SOURCE_TYPE) for block in root.iter(f"{RDF}Description") if block.get(SOURCE_TYPE)]


def words(root):
    return [element.text for element in root.iter(f"{RDF}li")]


@pytest.mark.parametrize("way", ["save_image", "save", "stream"])
@pytest.mark.parametrize("suffix", XMP_SUFFIXES)
def test_every_format_with_xmp_carries_the_source_type(tmp_path, picture, suffix, way):
    path = tmp_path / f"picture{suffix}"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if way == "save_image":
            save_image(picture, path)
        elif way == "save":
            picture.save(str(path))
        else:
            stream = io.BytesIO()
            picture.save(stream, Image.registered_extensions()[suffix].lower())
            path.write_bytes(stream.getvalue())
    root = read_packet(path)
    assert root.tag == "{adobe:ns:meta/}xmpmeta"
    assert source_types(root) == [DIGITAL_SOURCE_TYPE]
    assert len(words(root)) == 1 and "from 147 bytes" in words(root)[0]
    assert path.read_bytes().count(b"xmpmeta") == 2  # one packet, not two
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("suffix", "argument"), [(".gif", "comment"), (".jp2", "comment"), (".j2k", "comment")])
def test_formats_without_xmp_carry_it_in_words(tmp_path, picture, suffix, argument):
    save_image(picture, tmp_path / f"picture{suffix}")
    picture.save(tmp_path / f"mine{suffix}", **{argument: b"my words"})
    for name, start in (("picture", b"Synthesized by"), ("mine", b"my words\nSynthesized by")):
        with Image.open(tmp_path / f"{name}{suffix}") as saved:
            assert saved.info["comment"].startswith(start)
            assert DIGITAL_SOURCE_TYPE.encode() in saved.info["comment"]


@pytest.mark.parametrize("suffix", [".jxl", ".mpo", ".pdf"])
def test_formats_that_pillow_reads_no_packet_of_hold_it_too(tmp_path, picture, suffix):
    save_image(picture, tmp_path / f"picture{suffix}")
    data = (tmp_path / f"picture{suffix}").read_bytes()
    data = data.decode("utf-16-be", "ignore").encode("utf-8", "ignore") + data.replace(b"\0", b"")
    assert DIGITAL_SOURCE_TYPE.encode() in data


@pytest.mark.parametrize("suffix", [".bmp", ".ppm", ".tga", ".ico", ".qoi"])
def test_formats_that_cannot_carry_it_are_saved_with_one_warning(tmp_path, picture, suffix):
    with pytest.warns(UserWarning, match="cannot say that the picture is generated") as caught:
        save_image(picture, tmp_path / f"picture{suffix}")
    assert len(caught) == 1
    with Image.open(tmp_path / f"picture{suffix}") as saved:
        assert saved.convert("RGB").getpixel((0, 0)) == picture.getpixel((0, 0))


def test_every_suffix_that_pillow_writes_is_written_or_refused_by_name(tmp_path, picture):
    num_written = 0
    for suffix, kind in Image.registered_extensions().items():
        path = tmp_path / f"picture{suffix}"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                save_image(picture, path)
            num_written += 1
        except ValueError as error:
            assert (
                "`path` must end in" in str(error) if kind not in Image.SAVE else "cannot be written as" in str(error)
            )
            assert not path.exists()
    assert num_written >= 30
    assert len(list(tmp_path.iterdir())) == num_written


def test_chunks_of_the_user_are_kept_in_a_png(tmp_path, picture):
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "me")
    info.add_text("Description", "my cat")
    info.add_itxt("XML:com.adobe.xmp", THEIR_XMP.decode(), zip=True)
    before = list(info.chunks)
    picture.save(tmp_path / "picture.png", pnginfo=info)
    assert info.chunks == before
    with Image.open(tmp_path / "picture.png") as saved:
        assert (saved.text["Author"], saved.text["Description"]) == ("me", "my cat")
    root = read_packet(tmp_path / "picture.png")
    assert source_types(root) == [DIGITAL_SOURCE_TYPE] and "from 147 bytes" in words(root)[0]
    assert next(root.iter(f"{DC}rights")).text == "Mine alone: ©"


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif", ".tif"])
def test_a_packet_of_the_user_is_added_to(tmp_path, picture, suffix):
    picture.save(tmp_path / f"picture{suffix}", xmp=THEIR_XMP)
    root = read_packet(tmp_path / f"picture{suffix}")
    assert source_types(root) == [DIGITAL_SOURCE_TYPE] and "from 147 bytes" in words(root)[0]
    assert next(root.iter(f"{DC}rights")).text == "Mine alone: ©"


def test_the_words_and_the_source_type_of_the_user_win(tmp_path, picture):
    described = THEIR_XMP.replace(b"dc:rights", b"dc:description")
    picture.save(tmp_path / "described.jpg", xmp=described)
    root = read_packet(tmp_path / "described.jpg")
    assert source_types(root) == [DIGITAL_SOURCE_TYPE] and words(root) == []
    typed = described.replace(b'r:about=""', b'r:about="" xmlns:e="x" e:DigitalSourceType="compositeSynthetic"')
    picture.save(tmp_path / "typed.jpg", xmp=typed)
    with Image.open(tmp_path / "typed.jpg") as saved:
        assert saved.info["xmp"] == typed
    with pytest.warns(UserWarning, match="not an XMP packet"):
        picture.save(tmp_path / "other.jpg", xmp=b"not XMP")
    with Image.open(tmp_path / "other.jpg") as saved:
        assert saved.info["xmp"] == b"not XMP"


@pytest.mark.parametrize("suffix", XMP_SUFFIXES)
@pytest.mark.parametrize("as_bytes", [True, False])
def test_exif_of_the_user_is_kept(tmp_path, picture, suffix, as_bytes):
    exif = Image.Exif()
    exif[0x013B] = "me"
    picture.save(tmp_path / f"picture{suffix}", exif=exif.tobytes() if as_bytes else exif)
    with Image.open(tmp_path / f"picture{suffix}") as saved:
        assert saved.getexif()[0x013B] == "me"
    assert source_types(read_packet(tmp_path / f"picture{suffix}")) == [DIGITAL_SOURCE_TYPE]
    assert 700 not in exif


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "jpeg"])
@pytest.mark.parametrize("kind", [TiffImagePlugin.ImageFileDirectory_v1, TiffImagePlugin.ImageFileDirectory_v2, dict])
def test_tags_of_the_user_are_kept_in_a_tiff(tmp_path, picture, kind, compression):
    tags = kind()
    tags[315] = "me"
    tags[700] = THEIR_XMP
    picture.save(tmp_path / "picture.tif", tiffinfo=tags, compression=compression)
    with Image.open(tmp_path / "picture.tif") as saved:
        assert saved.tag_v2[315] == "me" and saved.info["compression"] == compression
    root = read_packet(tmp_path / "picture.tif")
    assert source_types(root) == [DIGITAL_SOURCE_TYPE]
    assert next(root.iter(f"{DC}rights")).text == "Mine alone: ©"


@pytest.mark.parametrize(
    "derive",
    [
        lambda image: image.copy(),
        lambda image: image.crop((0, 0, 20, 20)),
        lambda image: image.resize((30, 20)),
        lambda image: image.convert("L"),
        lambda image: image.convert("P"),
        lambda image: image.quantize(8),
        lambda image: image.rotate(90),
        lambda image: image.rotate(30, expand=True),
        lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        lambda image: image.filter(ImageFilter.BLUR),
        lambda image: image.getchannel("R"),
        lambda image: image.point(lambda value: value // 2),
        lambda image: ImageOps.contain(image, (20, 20)),
        lambda image: Image.blend(image, Image.new("RGB", image.size), 0.5),
        copy.copy,
        copy.deepcopy,
        lambda image: pickle.loads(pickle.dumps(image)),
        lambda image: image.thumbnail((20, 20)) or image,
    ],
)
def test_derived_pictures_stay_marked(tmp_path, picture, derive):
    plain = Image.radial_gradient("L").convert("RGB")
    derived, expected = derive(picture), derive(plain)
    assert isinstance(derived, GeneratedImage) and isinstance(derived, Image.Image)
    assert (derived.mode, derived.size, derived.getpalette()) == (expected.mode, expected.size, expected.getpalette())
    assert derived.tobytes() == expected.tobytes()
    derived.save(tmp_path / "picture.png")
    assert source_types(read_packet(tmp_path / "picture.png")) == [DIGITAL_SOURCE_TYPE]


def test_marking_leaves_the_picture_itself_alone(picture):
    image = Image.new("RGB", (8, 8))
    marked = mark_generated(image, 1, "x")
    marked.putpixel((0, 0), (255, 0, 0))
    assert type(image) is Image.Image and not image.info and image.getpixel((0, 0)) == (0, 0, 0)
    assert "from 5 bytes" in mark_generated(picture, 5, "x").info["Description"]
    assert "from 147 bytes" in picture.info["Description"]


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif"])
def test_quality_is_92_unless_the_user_says_otherwise(picture, suffix):
    kind = Image.registered_extensions()[suffix]

    def size_of(image, **params):
        stream = io.BytesIO()
        image.save(stream, kind, **params)
        return len(stream.getvalue())

    def size_of_plain(**params):
        return size_of(Image.radial_gradient("L").convert("RGB"), xmp=picture.info["xmp"], **params)

    assert size_of(picture) == size_of_plain(quality=92) != size_of_plain()
    assert size_of(picture, quality=50) == size_of_plain(quality=50)
    if kind == "WEBP":
        assert size_of(picture, lossless=True) == size_of_plain(lossless=True)


@pytest.mark.parametrize(("mode", "suffix"), [("F", ".jpg"), ("F", ".png"), ("CMYK", ".png"), ("RGBA", ".pcx")])
def test_what_a_format_cannot_hold_is_refused_with_a_remedy(tmp_path, mode, suffix):
    path = tmp_path / f"picture{suffix}"
    path.write_bytes(b"old")
    with (
        warnings.catch_warnings(action="ignore"),
        pytest.raises(ValueError, match=f"`image` of mode {mode} .* cannot be written as .*; convert it"),
    ):
        save_image(mark_generated(Image.new(mode, (8, 8)), 1, "x"), path)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_unknown_suffix_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"`path` must end in one of .*\.png.* got 'picture.xyz'"):
        save_image(mark_generated(Image.new("RGB", (8, 8)), 1, "x"), tmp_path / "picture.xyz")
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half of the new")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
