import sys
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[2] / "pipelines"


@pytest.fixture(autouse=True)
def _forget_recipes():
    """Recipes have modules of the same names, such as `train_denoiser`: none may meet those of another."""
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(RECIPES)):
            del sys.modules[name]
