"""The losses of S4 against their formulas, and discriminators that learn from pairs."""

import pytest
import torch
from torch.nn import functional

from sgc_diffusion.features.vgg19 import Vgg19
from sgc_diffusion.training.dsslic import DsslicLosses
from tests.training.test_recipes import write_vgg

RECIPE = {"loss_weight": 10.0, "critic_width": 8, "critic_learning_rate": 1e-3}


@pytest.fixture()
def losses(tmp_path):
    torch.manual_seed(0)
    write_vgg(tmp_path / "vgg.safetensors")
    return DsslicLosses(tmp_path / "vgg.safetensors", RECIPE, 5, torch.device("cpu"))


@pytest.fixture()
def pictures():
    generator = torch.Generator().manual_seed(0)
    photos, drawn = (torch.rand(2, 3, 64, 64, generator=generator) * 2 - 1 for _ in range(2))
    labels = functional.one_hot(torch.arange(16).reshape(1, 4, 4) % 5, 5).permute(0, 3, 1, 2).float()
    return drawn, photos, labels.expand(2, -1, -1, -1), photos * 0.5


def test_the_terms_are_those_of_the_poster(losses, pictures, tmp_path):
    drawn, photos, labels, likeness = pictures
    given = torch.cat([labels.repeat_interleave(16, 2).repeat_interleave(16, 3), likeness], dim=1)
    real, fake = torch.cat([given, photos], dim=1), torch.cat([given, drawn], dim=1)
    matching, adversarial, critic = 0.0, 0.0, 0.0
    with torch.no_grad():
        for discriminator in losses.discriminators:
            theirs, ours = discriminator(real), discriminator(fake)
            matching += sum((a - b).abs().mean() for a, b in zip(theirs[:-1], ours[:-1], strict=True))
            adversarial += -torch.sigmoid(ours[-1]).log().mean()
            critic += -torch.sigmoid(theirs[-1]).log().mean() - (1 - torch.sigmoid(ours[-1])).log().mean()
            real, fake = functional.avg_pool2d(real, 2), functional.avg_pool2d(fake, 2)
        network = Vgg19(tmp_path / "vgg.safetensors")
        maps = zip(network(photos / 2 + 0.5), network(drawn / 2 + 0.5), strict=True)
        vgg = sum((a - b).abs().mean() for a, b in maps)
    _, terms = losses.gradient(*pictures)
    assert terms["pixel"].item() == pytest.approx(20 * (photos - drawn).abs().mean().item(), rel=1e-5)
    assert terms["matching"].item() == pytest.approx(10 * matching.item(), rel=1e-4)
    assert terms["vgg"].item() == pytest.approx(10 * vgg.item(), rel=1e-4)
    assert terms["adversarial"].item() == pytest.approx(adversarial.item(), rel=1e-4)
    assert terms["critic"].item() == pytest.approx(critic.item(), rel=1e-4)


def test_equal_pictures_differ_in_nothing(losses, pictures):
    _, photos, labels, likeness = pictures
    _, terms = losses.gradient(photos, photos, labels, likeness)
    assert terms["pixel"] == terms["matching"] == terms["vgg"] == 0 and terms["ssim"].item() == pytest.approx(-1)


def test_discriminators_learn_and_the_gradient_leads_to_the_photographs(losses, pictures):
    drawn, photos, *given = pictures
    first = losses.gradient(*pictures)[1]["critic"].item()
    for _ in range(6):
        gradient, terms = losses.gradient(*pictures)
    assert terms["critic"].item() < 0.9 * first and terms["adversarial"] > 1
    nearer = drawn - 2.0 * gradient / gradient.norm()
    assert losses.gradient(nearer, photos, *given)[1]["pixel"] < terms["pixel"]
