"""`from_pretrained` with Hub ids: the Hub's own clients, against a server on this machine that speaks its protocol.

The rest of the suite runs with HF_HUB_OFFLINE=1, which the clients read once; so this runs in a process of its own.
"""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

COMMITS = {"main": "a" * 40, "v1": "b" * 40}
GATED = "owner/gated"
LOAD_CASES = """
import json, sys
from sgc_diffusion import SemanticCompressionPipeline
for name, arguments in json.load(sys.stdin):
    try:
        pipeline = SemanticCompressionPipeline.from_pretrained(name, **arguments)
        print("CASE", type(pipeline.segmenter).__name__, pipeline.weights_hash, pipeline.image_processor is not None)
    except (OSError, ValueError) as error:
        print("CASE", error)
"""


class Hub(http.server.BaseHTTPRequestHandler):
    """Serves the folders in `repositories` as the Hub does."""

    repositories: dict[str, Path]

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        parts = self.path.partition("?")[0].strip("/").split("/")
        is_api = parts[0] == "api"  # /api/models/owner/name/revision/main, or /owner/name/resolve/main/file
        parts = parts[2:] if is_api else parts
        repository, revision = "/".join(parts[:2]), parts[3] if len(parts) > 3 else "main"
        if repository == GATED:
            self.send(403, {"X-Error-Code": "GatedRepo"})
        elif repository not in self.repositories:
            self.send(404, {"X-Error-Code": "RepoNotFound"})
        elif revision not in [*COMMITS, *COMMITS.values()]:
            self.send(404, {"X-Error-Code": "RevisionNotFound"})
        else:
            folder, commit = self.repositories[repository], COMMITS.get(revision, revision)
            files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
            if is_api:
                content: object = {"id": repository, "sha": commit, "siblings": [{"rfilename": name} for name in files]}
                if parts[2:3] == ["tree"]:
                    content = [{"type": "file", "path": name, "size": 1, "oid": commit} for name in files]
                self.send(200, {}, json.dumps(content).encode())
            elif (name := "/".join(parts[4:])) in files:
                content = (folder / name).read_bytes()
                etag = f'"{hashlib.sha1(content).hexdigest()}"'
                self.send(200, {"X-Repo-Commit": commit, "ETag": etag}, content)
            else:
                self.send(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})

    def send(self, status, headers, content=b""):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


@pytest.fixture()
def load_from_hub(tmp_path, tiny_pipeline_folder):
    """Return a function that loads (name, arguments) in another process and returns a line each."""
    from transformers import SegformerConfig, SegformerForSemanticSegmentation, SegformerImageProcessor

    from sgc_diffusion import SemanticCompressionPipeline
    from sgc_diffusion.taxonomy import load_taxonomy

    config = SegformerConfig(
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
        id2label=dict(enumerate(load_taxonomy("ade20k-150").names)),
    )
    SegformerForSemanticSegmentation(config).save_pretrained(tmp_path / "segmenter")
    SegformerImageProcessor(size={"height": 64, "width": 64}).save_pretrained(tmp_path / "segmenter")
    pipeline = SemanticCompressionPipeline.from_pretrained(tiny_pipeline_folder, segmenter=tmp_path / "segmenter")
    pipeline.save_pretrained(tmp_path / "pipeline")
    repositories = {"owner/pipeline": tmp_path / "pipeline", "owner/segmenter": tmp_path / "segmenter"}
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Served", (Hub,), {"repositories": repositories}))
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def load(cases):
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        environment |= {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HOME": str(tmp_path / "home")}
        environment |= {"HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1"}
        command = [sys.executable, "-c", LOAD_CASES]
        done = subprocess.run(
            command, input=json.dumps(cases), env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return [line.removeprefix("CASE ") for line in done.stdout.splitlines() if line.startswith("CASE ")]

    yield load
    server.shutdown()
    server.server_close()


def test_hub_ids_load_or_say_what_is_wrong_with_them(load_from_hub, tmp_path):
    from sgc_diffusion import SemanticCompressionPipeline

    expected = {
        ("owner/pipeline", ()): "SegformerForSemanticSegmentation",
        ("owner/pipeline", (("revision", "v1"),)): "SegformerForSemanticSegmentation",
        ("owner/pipeline", (("local_files_only", True),)): "SegformerForSemanticSegmentation",
        ("landscape-256", (("segmenter", "owner/segmenter"),)): "SegformerForSemanticSegmentation",
        ("owner/pipeline", (("revision", "v9"),)): "owner/pipeline has no such revision",
        ("owner/pipelin", ()): "owner/pipelin is no repository on the Hub that you may read; check the spelling",
        (GATED, ()): "owner/gated is gated; accept its terms",
        ("owner/segmenter", ()): "owner/segmenter lacks a file, such as model_index.json",
        ("landscape-256", (("segmenter", "owner/segment"),)): "owner/segment is no repository on the Hub",
        ("landscape-256", (("segmenter", GATED),)): "owner/gated is gated",
        ("landscape-256", (("segmenter", "owner/pipeline"),)): "owner/pipeline is no transformers model",
    }
    lines = load_from_hub([(name, dict(arguments)) for name, arguments in expected])
    assert len(lines) == len(expected)
    for line, (case, message) in zip(lines, expected.items(), strict=True):
        assert message in line, case
    _, weights_hash, has_processor = lines[0].split()
    pipeline = SemanticCompressionPipeline.from_pretrained(tmp_path / "pipeline")
    assert int(weights_hash) == pipeline.weights_hash and has_processor == "True"
