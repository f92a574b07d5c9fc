"""The app: drop a photograph, see what is sent and what comes back.

    sgc app                                             # or, in a program:
    build_app(pipeline).launch(**LAUNCH_OPTIONS)

Needs `pip install 'sgc-diffusion[demo]'`. Drawing is queued, one at a time; what a visitor works on is kept in the
visitor's own state and deleted an hour after it was last touched, its files with it.

A server's log may hold "Exception in ASGI application". Cutting connections gives two, both raised in Gradio, after
which the server goes on answering: `ClientDisconnect` where an upload is cut, and "response already started" where a
request of a visit is cut that the queue does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from sgc_diffusion.app import views, work
from sgc_diffusion.bitstream import BitstreamError
from sgc_diffusion.taxonomy import Taxonomy, load_taxonomy

LAUNCH_OPTIONS: dict[str, Any] = {
    "max_file_size": "20mb",
    "css": views.CSS,
    "theme": gr.themes.Default(font=("system-ui", "sans-serif"), font_mono=("monospace",)),  # fetches no fonts
    "footer_links": [],
}
MAX_WAITING = 20  # visitors in the queue
KEPT_SECONDS = 3600
PROGRESS = gr.Progress()  # Gradio puts the progress of each call in its place
TITLE = "sgc_diffusion: a picture in a hundred bytes"
HEAD = f"""# {TITLE}
The file keeps *what is where* and *what it looks like from afar*; a network draws the rest. What comes back is an
**invention** that agrees with the labels and the colors: nothing in it is evidence of anything."""


def build_app(pipeline: Any, examples: Sequence[str | Path] = ()) -> gr.Blocks:
    """Return the app, not yet launched.

    Args:
        pipeline: a loaded `SemanticCompressionPipeline` with a segmenter.
        examples: paths of photographs to try.
    """
    taxonomy = load_taxonomy(pipeline.config.taxonomy)
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(KEPT_SECONDS, KEPT_SECONDS)) as app:
        visit = gr.State(None, time_to_live=KEPT_SECONDS, delete_callback=_forget)
        gr.Markdown(HEAD)
        with gr.Row():
            with gr.Column(min_width=300):
                image = gr.Image(type="pil", label="Photograph", sources=["upload", "clipboard"], elem_id="photograph")
                budget = gr.Radio(work.BUDGETS, value="120", label="Bytes, at most", elem_id="budget")
                go = gr.Button("Compress and draw", variant="primary", elem_id="go")
                if examples:
                    gr.Examples([str(path) for path in examples], image, cache_examples=False)
            with gr.Column(min_width=300):
                wipe = gr.ImageSlider(label="Original | what comes back", interactive=False, elem_id="wipe")
                decoder = gr.Radio(work.DECODERS, value=work.ONE_STEP, label="Drawn by", elem_id="decoder")
                with gr.Row():
                    steps = gr.Slider(2, work.MAX_STEPS, 20, step=1, label="Steps", min_width=120)
                    seed = gr.Slider(0, work.MAX_SEED, 0, step=1, label="Seed", min_width=120, elem_id="seed")
                again = gr.Button("Draw again", elem_id="again")
        bar = gr.HTML(elem_id="bar")
        label = "Cut the file after so many layers of detail"
        layers = gr.Slider(0, 1, 1, step=1, label=label, visible=False, elem_id="cut")
        with gr.Row():
            regions = gr.AnnotatedImage(label="Sent: labels (point at them)", min_width=300, elem_id="labels")
            color = gr.Image(label="Sent: colors", interactive=False, min_width=300, elem_id="colors")
        editor, repaint = _paint_box(taxonomy)
        with gr.Row():
            file = gr.DownloadButton("Download .sgc", interactive=False, elem_id="download-sgc")
            picture = gr.DownloadButton("Download PNG", interactive=False, elem_id="download-png")

        shown = [visit, wipe, bar, layers, regions, color, editor, file, picture]
        controls = [decoder, steps, seed]
        stages = _Stages(pipeline)
        options: dict[str, Any] = {"concurrency_id": "network", "concurrency_limit": 1, "outputs": shown}
        go.click(stages.compress, [image, budget, *controls], **options)
        again.click(stages.draw, [visit, *controls], **options)
        repaint.click(stages.paint, [visit, editor, *controls], **options)
        layers.release(stages.cut, [visit, layers], outputs=shown)
    app.queue(max_size=MAX_WAITING)
    return app


def _paint_box(taxonomy: Taxonomy) -> tuple[gr.ImageEditor, gr.Button]:
    """Return what labels are painted in, and the button that has them drawn."""
    colors = [views.color_name(color) for color in taxonomy.palette]
    with gr.Accordion("Paint on the label map, and draw again", open=True):
        gr.HTML(views.legend(taxonomy))
        brush = gr.Brush(colors=[*colors], default_color=colors[1], color_mode="fixed", default_size=40)
        tools: dict[str, Any] = {"brush": brush, "transforms": (), "sources": (), "layers": False}
        editor = gr.ImageEditor(type="pil", label="Labels", elem_id="paint", **tools)
        return editor, gr.Button("Draw what I painted", elem_id="repaint")


class _Stages:
    """What the buttons do: each shows what is there at once, then what the network draws.

    Args:
        pipeline: shared by all visitors, who take turns.
    """

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline

    def compress(
        self, image: Any, budget: str, decoder: str, steps: int, seed: int, progress: gr.Progress = PROGRESS
    ) -> Iterator[list[Any]]:
        """Compress, show, draw."""
        progress(0.05, "looking at the picture")
        visit = _told(work.compress, self._pipeline, image, budget)
        yield from self.draw(visit, decoder, steps, seed, progress)

    def paint(
        self,
        visit: work.Visit | None,
        painted: Any,
        decoder: str,
        steps: int,
        seed: int,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[list[Any]]:
        """Take the painted labels, show, draw."""
        composite = (painted or {}).get("composite")
        if visit is None or composite is None:
            raise gr.Error("Compress a photograph first", print_exception=False)
        yield from self.draw(_told(work.paint, visit, composite), decoder, steps, seed, progress)

    def draw(
        self, visit: work.Visit | None, decoder: str, steps: int, seed: int, progress: gr.Progress = PROGRESS
    ) -> Iterator[list[Any]]:
        """Show what is there without a network, then what is drawn."""
        if visit is None:
            raise gr.Error("Compress a photograph first", print_exception=False)
        yield _show(visit, work.show(visit))
        if decoder != work.NO_NETWORK:
            drawn = _told(work.draw, self._pipeline, visit, decoder, steps, seed, _teller(progress))
            yield _show(visit, drawn)

    def cut(self, visit: work.Visit | None, num_layers: int) -> list[Any]:
        """Cut the file and show what is left, without a network."""
        if visit is None:
            raise gr.Error("Compress a photograph first", print_exception=False)
        visit = work.cut(visit, num_layers)
        return _show(visit, work.show(visit))


def _show(visit: work.Visit, picture: Image.Image) -> list[Any]:
    """Return the new values of all that shows a visit."""
    payload, parts = visit.payload, visit.layer_bytes
    num_layers = max(0, len(parts) - 3)
    base, masks = views.label_regions(payload)
    label_picture = work.label_picture(payload)
    file, image_path = work.save_files(visit, picture)
    return [
        visit,
        (visit.original, picture),
        views.byte_bar(parts, visit.num_layers, visit.original.size),
        gr.Slider(maximum=max(1, num_layers), value=visit.num_layers, visible=num_layers > 0),
        gr.AnnotatedImage((base, [*masks]), color_map=views.region_colors(payload)),
        views.color_picture(payload),
        {"background": label_picture, "layers": [], "composite": label_picture},
        gr.DownloadButton(value=file, interactive=True),
        gr.DownloadButton(value=image_path, interactive=True),
    ]


def _teller(progress: Any) -> Callable[[int, int], None]:
    return lambda done, total: progress((done, total), "drawing", unit="steps")


def _told(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function; what a visitor can mend is shown to the visitor in a line."""
    try:
        return function(*arguments)
    except (ValueError, BitstreamError) as error:
        text = str(error).replace("`max_bytes`", "The budget of")
        raise gr.Error(text, duration=15, print_exception=False) from error


def _forget(visit: work.Visit | None) -> None:
    """Delete a visitor's files."""
    if visit is not None:
        visit.folder.cleanup()
