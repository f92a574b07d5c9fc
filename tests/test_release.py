"""What stands around the package: workflows, container, citation, and the example of the packet radio."""

import re
import socket
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml
from PIL import Image

from sgc_diffusion import bitstream

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_the_workflows_test_what_is_promised_and_publish_without_a_password():
    docs, publish, test = (yaml.safe_load(path.read_text()) for path in WORKFLOWS)
    matrix = test["jobs"]["test"]["strategy"]["matrix"]
    promised = [name.rpartition(" ")[2] for name in PROJECT["classifiers"] if ":: Python :: 3." in name]
    assert matrix["python"] == promised and len(matrix["os"]) == 3
    assert publish["jobs"]["publish"]["permissions"] == {"id-token": "write"}
    assert docs[True]["pull_request"] is None and docs["jobs"]["publish"]["if"] == "github.event_name == 'push'"
    for workflow in (docs, test, publish):
        assert workflow["permissions"] == {"contents": "read"}
        assert all(job["timeout-minutes"] for job in workflow["jobs"].values())


def test_every_action_has_a_version_and_every_target_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in WORKFLOWS:
        text = path.read_text()
        assert all("@" in action for action in re.findall(r"uses: (\S+)", text))
        assert set(re.findall(r"make ([a-z]+)", text)) <= targets


def test_extras_of_the_container_and_the_version_of_the_citation_are_those_of_the_project():
    (extras,) = re.findall(r"'\.\[(.+)\]'", (ROOT / "Dockerfile").read_text())
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == PROJECT["version"]
    for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        form = yaml.safe_load(path.read_text("utf-8"))
        assert {"name", "description", "body"} <= set(form)


def test_every_package_that_can_be_installed_has_its_license_listed():
    requirements = [*PROJECT["dependencies"], *chain(*PROJECT["optional-dependencies"].values())]
    names = {re.match(r"[\w-]+", requirement).group() for requirement in requirements} - {PROJECT["name"]}
    listed = re.findall(r"^\| `([\w-]+)` \|", (ROOT / "docs" / "licences.md").read_text("utf-8"), re.MULTILINE)
    assert set(listed) == names and listed == sorted(listed)


@pytest.mark.parametrize("options", [(), ("--base64",)])
def test_a_photograph_goes_through_the_radio_in_one_packet(tmp_path, tiny_pipeline_folder, landscape, options):
    landscape(96, 64).save(tmp_path / "photo.png")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    target = tmp_path / "received.sgc"
    listen = [sys.executable, ROOT / "docs/lora/receive.py", target, "--port", port, "--timeout", "120"]
    with subprocess.Popen(listen, stdout=subprocess.PIPE, text=True) as receiver:
        assert receiver.stdout.readline() == "listening\n"
        send = [sys.executable, ROOT / "docs/lora/send.py", tmp_path / "photo.png", "--port", port]
        sent = subprocess.run([*send, "--pipeline", tiny_pipeline_folder, *options], capture_output=True, text=True)
        assert sent.returncode == 0, sent.stderr
        assert "received" in receiver.stdout.read() and receiver.wait() == 0
    assert target.stat().st_size <= (132 if options else 176)
    assert bitstream.decode(target.read_bytes()).width == 96
    with Image.open(tmp_path / "received.png") as image:
        assert image.size == (96, 64)
