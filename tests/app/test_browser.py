"""The app in a real headless Chromium: upload, draw, wipe, cut, paint, download, bad input, two visitors, a phone."""

import re
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio")
sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
    pytest.mark.filterwarnings("ignore"),
]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
SECONDS = 1000  # milliseconds
PATIENCE = 60 * SECONDS


@pytest.fixture(scope="module")
def address(tiny_pipeline_folder, tmp_path_factory):
    """Serve the app with a pipeline of random weights."""
    from sgc_diffusion import SemanticCompressionPipeline
    from sgc_diffusion.app import LAUNCH_OPTIONS, build_app

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        pipeline = SemanticCompressionPipeline.from_pretrained(tiny_pipeline_folder)
        app = build_app(pipeline)
        _, url, _ = app.launch(**LAUNCH_OPTIONS, prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
        yield url
        app.close()


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def visitor(browser, address, width=1200):
    """A page of somebody's own, opened."""
    context = browser.new_context(viewport={"width": width, "height": 900}, accept_downloads=True)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    outside = []
    page.on("request", lambda request: outside.append(request.url) if not _is_own(request.url, address) else None)
    page.goto(address)
    page.wait_for_selector("#photograph")
    yield page
    assert not outside  # nothing is fetched from elsewhere
    context.close()


def _is_own(url, address):
    return url.startswith((address.rstrip("/"), "data:", "blob:"))


@pytest.fixture()
def photograph(tmp_path, landscape):
    landscape(192, 128).save(tmp_path / "photograph.png")
    return tmp_path / "photograph.png"


def compress(page, photograph, budget="300", decoder="no network"):
    page.set_input_files("#photograph input[type=file]", photograph)
    page.wait_for_selector("#photograph img")
    page.locator("#budget").get_by_label(budget, exact=True).check()
    page.locator("#decoder").get_by_label(decoder, exact=True).check()
    page.click("button#go")
    page.wait_for_selector("#wipe img")
    page.wait_for_function("document.querySelector('#download-sgc')?.disabled === false")


def num_bytes(page):
    page.wait_for_function("document.querySelector('#bar').innerText.includes(' bytes, ')")  # not just being changed
    return int(re.search(r"(\d+) bytes, ", page.inner_text("#bar"))[1])


def download(page, selector):
    with page.expect_download() as waiting:
        page.click(selector)
    return Path(waiting.value.path())


def test_a_photograph_is_sent_drawn_painted_on_and_downloaded(browser, address, photograph):
    from sgc_diffusion import bitstream

    with visitor(browser, address) as page:
        compress(page, photograph, decoder="network, more steps")
        assert 20 < num_bytes(page) <= 300 and "labels:" in page.inner_text("#bar")
        assert "%" in page.inner_text("#labels")
        handle = page.locator("#wipe .inner, #wipe [role=slider], #wipe .outer").first
        before = page.locator("#wipe").screenshot()
        box = page.locator("#wipe img").first.bounding_box()
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        assert handle.count()
        drag(page, middle, (middle[0] + box["width"] / 4, middle[1]))
        assert page.locator("#wipe").screenshot() != before
        file = download(page, "#download-sgc")
        payload = bitstream.decode(file.read_bytes())
        assert (payload.width, payload.height) == (192, 128) and file.stat().st_size == num_bytes(page)
        canvas = page.locator("#paint canvas").first
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        drag(page, (middle[0] - 60, middle[1]), (middle[0] + 60, middle[1]))
        page.wait_for_timeout(SECONDS)
        page.locator("#decoder").get_by_label("no network", exact=True).check()
        page.click("button#repaint")
        for _ in range(60):  # until it is done
            painted = bitstream.decode(download(page, "#download-sgc").read_bytes())
            if not np.array_equal(painted.label_map, payload.label_map):
                break
            page.wait_for_timeout(SECONDS)
        assert (painted.label_map != payload.label_map).any() and (painted.label_map == payload.label_map).any()
        with Image.open(download(page, "#download-png")) as image:
            assert image.size == (192, 128) and "no network" in image.info["Description"]


def drag(page, start, end):
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=8)
    page.mouse.up()


def test_a_file_is_cut_and_recovers(browser, address, photograph):
    with visitor(browser, address) as page:
        compress(page, photograph, budget="everything")
        whole = num_bytes(page)
        field = page.locator("#cut input[type=number]")
        field.wait_for(state="visible")
        slider = page.locator("#cut input[type=range]")
        slider.focus()
        slider.press("Home")
        page.mouse.click(*_left_end(slider))
        page.wait_for_selector("#bar .sgc-left-out")
        assert num_bytes(page) < whole / 4


def _left_end(slider):
    box = slider.bounding_box()
    return box["x"] + 3, box["y"] + box["height"] / 2


def test_what_is_no_picture_is_told_and_the_app_goes_on(browser, address, photograph, tmp_path):
    with visitor(browser, address) as page:
        page.click("button#go")
        page.get_by_text("Drop a photograph first").first.wait_for()
        page.click("button#again")
        page.get_by_text("Compress a photograph first").first.wait_for()
        (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n but no picture")
        page.set_input_files("#photograph input[type=file]", tmp_path / "broken.png")
        page.wait_for_timeout(SECONDS)
        page.click("button#go")
        page.wait_for_selector(".toast-body.error, .toast-body")
    with visitor(browser, address) as page:
        compress(page, photograph)


def test_two_visitors_at_once_see_their_own_on_a_phone_too(browser, address, photograph, landscape, tmp_path):
    from sgc_diffusion import bitstream

    landscape(64, 64, seed=3).save(tmp_path / "other.png")
    with visitor(browser, address) as first, visitor(browser, address, width=390) as second:
        compress(first, photograph)
        compress(second, tmp_path / "other.png", budget="80")
        sizes = []
        for page in (first, second):
            payload = bitstream.decode(download(page, "#download-sgc").read_bytes())
            sizes.append((payload.width, payload.height))
        assert sizes == [(192, 128), (64, 64)]
        assert second.evaluate("document.documentElement.scrollWidth") <= 390
