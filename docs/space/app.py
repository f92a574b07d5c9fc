"""What a Hugging Face Space runs; `python docs/space/build.py FOLDER` puts the folder of such a Space together."""

from pathlib import Path

from sgc_diffusion import SemanticCompressionPipeline
from sgc_diffusion.app import LAUNCH_OPTIONS, build_app

PIPELINE = SemanticCompressionPipeline.from_pretrained("landscape-256")
PIPELINE.set_progress_bar_config(disable=True)

if __name__ == "__main__":
    build_app(PIPELINE, sorted(Path(__file__).parent.glob("examples/*.jpg"))).launch(**LAUNCH_OPTIONS)
