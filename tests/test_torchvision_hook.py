"""Where torchvision's compiled part does not fit torch, the order of imports must not matter."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import torch

from sgc_diffusion.torchvision_hook import START_UP_FILE, declare_operators

ROOT = Path(__file__).parents[1]


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)


@pytest.mark.skipif(
    not Path(sysconfig.get_path("purelib"), START_UP_FILE).exists(), reason="an environment that `make` did not build"
)
@pytest.mark.parametrize(
    "first", ["import torchvision", "from diffusers import UNet2DModel", "from transformers import AutoImageProcessor"]
)
def test_any_library_may_be_imported_first(first):
    done = run(f"{first}\nimport sgc_diffusion\nfrom sgc_diffusion import SemanticCompressionPipeline")
    assert done.returncode == 0, done.stderr


def test_a_torchvision_that_does_not_fit_the_torch_can_be_imported(tmp_path):
    """A package that fails as torchvision's CUDA wheel does beside a CPU torch is imported after the hook."""
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "_C.so").write_bytes(b"linked to what is not there")
    (package / "__init__.py").write_text(
        'import torch\ntorch.library.register_fake("torchvision::nms")(lambda dets, scores, iou_threshold: dets)\n'
    )
    code = (
        "import sys\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "is_ours = lambda finder: type(finder).__name__ == '_TorchvisionFinder'\n"
        "sys.meta_path[:] = [finder for finder in sys.meta_path if not is_ours(finder)]\n"
        "import torch\n"
        "torch.version.cuda = None\n"
        "try:\n    import torchvision\nexcept RuntimeError as error:\n    assert 'nms' in str(error), error\n"
        "else:\n    sys.exit('imported without the hook')\n"
        "sys.modules.pop('torchvision', None)\n"
        "from sgc_diffusion.torchvision_hook import install_hook\n"
        "install_hook()\ninstall_hook()\n"
        "import torchvision\n"
        "sys.exit('the hook is still there' if any(map(is_ours, sys.meta_path)) else 0)\n"
    )
    done = run(code)
    assert done.returncode == 0, done.stderr


def test_a_torchvision_that_fits_is_left_alone(monkeypatch, tmp_path):
    (tmp_path / "_C.so").write_bytes(b"linked to what is there")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert declare_operators(tmp_path) is False
