"""Train the first stage of `general-256`: an f8 autoencoder with perceptual losses and critics of real features.

    photographs ──▶ encoder ──▶ latents + noise ──▶ decoder ──▶ pixels, features, no grid; textures that the
                                                                critics take for a photograph's

It starts from the first stage of an earlier pipeline, whose latents may be fewer.

    python pipelines/general-256/train_first_stage.py --features vgg19.safetensors --start FOLDER [--max-minutes 60]

Resumable: the same command goes on from `runs/general-256/first_stage/checkpoint.pt`.
"""

import argparse
import tomllib
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from diffusers import AutoencoderDC
from diffusers.training_utils import EMAModel
from torch.nn import functional

from sgc_diffusion.training.critics import (
    ClassifierFeatures,
    ProjectedCritic,
    feature_distance,
    generator_loss,
    hinge_losses,
    with_share,
)
from sgc_diffusion.training.data import PhotoCache, shuffled_batches, stack_photos
from sgc_diffusion.training.loops import TrainingRun, averaged, recipe_parser, warmup_cosine, write_sheet
from sgc_diffusion.training.losses import PatchDiscriminator, PerceptualLoss, grid_error

RECIPE = Path(__file__).with_name("recipe.toml")


def build_first_stage(recipe: dict) -> AutoencoderDC:
    """Return the untrained autoencoder of the recipe."""
    channels = recipe["block_out_channels"]
    no_attention = ((),) * len(channels)
    return AutoencoderDC(
        latent_channels=recipe["latent_channels"],
        encoder_block_out_channels=channels,
        decoder_block_out_channels=channels,
        encoder_layers_per_block=recipe["encoder_layers"],
        decoder_layers_per_block=recipe["decoder_layers"],
        encoder_qkv_multiscales=no_attention,
        decoder_qkv_multiscales=no_attention,
    )


@torch.no_grad()
def take_over(model: AutoencoderDC, start: AutoencoderDC) -> None:
    """Make a model compute what another one does, which has the same layers and no more latents.

    Around the layer that makes the latents, and the one that reads them, lie shortcuts: means and copies of neighboring
    channels, which are others where there are more latents. The center of those layers makes up for the difference;
    latents that the other has not are read as if they were not there.
    """
    inner = {"encoder.conv_out", "decoder.conv_in"}
    state = start.state_dict()
    kept = {name: value for name, value in state.items() if name.rpartition(".")[0] not in inner}
    model.load_state_dict(kept, strict=False)
    few, many = start.config["latent_channels"], model.config["latent_channels"]
    width = model.encoder.conv_out.weight.shape[1]
    copies = torch.zeros(2, width, many)  # of the earlier shortcut and of this one
    copies[0, :, :few] = torch.eye(few).repeat_interleave(width // few, dim=0)
    copies[1] = torch.eye(many).repeat_interleave(width // many, dim=0)
    means = copies.transpose(1, 2) / torch.tensor([width // few, width // many])[:, None, None]
    reading, making = model.decoder.conv_in, model.encoder.conv_out
    reading.weight.zero_()
    reading.weight[:, :few] = state["decoder.conv_in.weight"]
    reading.bias.copy_(state["decoder.conv_in.bias"])
    reading.weight[:, :, 1, 1] += copies[0] - copies[1]
    making.weight[:few] = state["encoder.conv_out.weight"]
    making.bias[:few] = state["encoder.conv_out.bias"]
    making.weight[:few, :, 1, 1] += (means[0] - means[1])[:few]


def random_crops(cache: PhotoCache, indices: np.ndarray, size: int, rng: np.random.Generator) -> torch.Tensor:
    """Return random flipped crops (B, 3, size, size) in [−1, 1]."""
    crops = []
    for index in indices:
        photo = cache.photo(index)
        top, left = (rng.integers(0, extent - size + 1) for extent in photo.shape[:2])
        crop = photo[top : top + size, left : left + size]
        crops.append(crop[:, ::-1] if rng.random() < 0.5 else crop)
    return stack_photos(crops)


def center_crops(cache: PhotoCache, indices: np.ndarray, size: int = 256) -> torch.Tensor:
    """Return center crops (B, 3, size, size) in [−1, 1]."""
    crops = []
    for index in indices:
        photo = cache.photo(index)
        top, left = ((extent - size) // 2 for extent in photo.shape[:2])
        crops.append(photo[top : top + size, left : left + size])
    return stack_photos(crops)


def blur_some(images: torch.Tensor, probability: float, rng: np.random.Generator) -> torch.Tensor:
    """Replace some pictures by what a color map of 4 to 16 cells a side keeps of them."""
    images = images.clone()
    for index in np.flatnonzero(rng.random(len(images)) < probability):
        cells = int(rng.choice([4, 8, 16]))
        small = functional.interpolate(images[index : index + 1], (cells, cells), mode="area")
        images[index] = functional.interpolate(small, images.shape[-2:], mode="bicubic")[0].clamp(-1, 1)
    return images


class Critics:
    """What judges decoded pictures: two critics, and distances in two networks' features.

    Args:
        features: file of a VGG19.
        recipe: the weights of the losses.
        device: of the networks.
    """

    def __init__(self, features: Path, recipe: dict, device: torch.device) -> None:
        self.recipe = recipe
        self.perceptual = PerceptualLoss(features).to(device)
        self.features = ClassifierFeatures().to(device)
        self.projected = ProjectedCritic().to(device)
        self.patches = PatchDiscriminator().to(device, memory_format=torch.channels_last)
        parameters = [*self.projected.heads.parameters(), *self.patches.parameters()]
        self.optimizer = torch.optim.AdamW(parameters, lr=recipe["critic_learning_rate"], betas=(0.5, 0.9))

    def objects(self) -> dict:
        """Return what a checkpoint must hold."""
        return {"projected": self.projected, "patches": self.patches, "critic_optimizer": self.optimizer}

    def gradient(self, decoded: torch.Tensor, images: torch.Tensor, heard: bool) -> tuple[torch.Tensor, dict]:
        """Return the gradient at decoded pictures (B, 3, H, W), and the terms of the loss.

        The critics' gradient is as long as `adversarial_share` of the others', whatever their scale.
        """
        recipe, decoded = self.recipe, decoded.detach().requires_grad_()
        difference = decoded - images
        pixel, grid = difference.abs().mean() + difference.pow(2).mean(), grid_error(difference)
        vgg = self.perceptual(decoded, images)
        with torch.no_grad():
            self.real_maps = self.features(images)
        drawn_maps = self.features(decoded)
        lite = feature_distance(drawn_maps, self.real_maps)
        loss = pixel + recipe["grid_weight"] * grid
        loss = loss + recipe["perceptual_weight"] * vgg + recipe["feature_weight"] * lite
        (gradient,) = torch.autograd.grad(loss, decoded, retain_graph=heard)
        if heard:
            adversarial = generator_loss([*self.projected(drawn_maps), self.patches(decoded)])
            (wish,) = torch.autograd.grad(adversarial, decoded)
            gradient = with_share(gradient, wish, recipe["adversarial_share"])
        self.drawn_maps = [drawn.detach() for drawn in drawn_maps]
        return gradient, {"pixel": pixel, "vgg": vgg, "lite": lite, "grid": grid}

    def learn(self, decoded: torch.Tensor, images: torch.Tensor, accelerator: Accelerator) -> torch.Tensor:
        """Take one step of the critics on the pictures of the last `gradient`; return their hinge loss."""
        with accelerator.autocast():
            real = [*self.projected(self.real_maps), self.patches(images)]
            drawn = [*self.projected(self.drawn_maps), self.patches(decoded.detach())]
            loss = hinge_losses([logits.float() for logits in real], [logits.float() for logits in drawn])
        self.optimizer.zero_grad()
        accelerator.backward(loss)
        self.optimizer.step()
        return loss.detach()


@torch.no_grad()
def validate(model: AutoencoderDC, images: torch.Tensor, path: Path) -> dict[str, float]:
    """Return PSNR (dB), gradients relative to the originals', the grid and latent statistics; write a sheet."""
    model.eval()
    latents = model.encode(images).latent
    decoded = model.decode(latents).sample.clamp(-1, 1)
    model.train()
    error = ((decoded - images) / 2).pow(2).mean(dim=(1, 2, 3))
    half = len(images) // 2
    rows = [pictures[first : first + min(6, half)] for first in (0, half) for pictures in (images, decoded)]
    write_sheet(rows, path)
    slopes = [pictures.mean(dim=1).diff(dim=-1).abs().mean(dim=(1, 2)) for pictures in (decoded, images)]
    psnr = -10 * error.log10()
    values = {
        "psnr_general_db": psnr[:half].mean(),
        "psnr_landscape_db": psnr[half:].mean(),
        "gradients": (slopes[0] / slopes[1]).median(),
        "grid_levels": 127.5 * grid_error(decoded - images),
        "latent_std": latents.std(),
        "weakest_latent_std": latents.std(dim=(0, 2, 3)).min(),
    }
    return {name: round(float(value), 4) for name, value in values.items()}


def options() -> argparse.Namespace:
    """Read the arguments."""
    parser = recipe_parser(__doc__, RECIPE)
    parser.add_argument("--features", type=Path, required=True, help="VGG19 weights for the perceptual loss")
    parser.add_argument("--start", type=Path, required=True, help="folder of the first stage to start from")
    return parser.parse_args()


def main() -> None:
    """Train until the recipe's step count or the deadline."""
    arguments = options()
    everything = tomllib.loads(arguments.recipe.read_text())
    recipe, seed = everything["first_stage"], everything["seed"]
    torch.manual_seed(seed)
    accelerator = Accelerator(mixed_precision="bf16")
    device = accelerator.device
    model = build_first_stage(recipe)
    take_over(model, AutoencoderDC.from_pretrained(arguments.start, torch_dtype=torch.float32))
    model = model.to(device, memory_format=torch.channels_last)
    critics = Critics(arguments.features, recipe, device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe["learning_rate"], betas=(0.9, 0.99), weight_decay=1e-3)
    average = EMAModel(model.parameters(), decay=0.998, use_ema_warmup=True, power=0.75)
    objects = {"model": model, "optimizer": optimizer, "average": average, **critics.objects()}
    run = TrainingRun(arguments.runs / "first_stage", objects, max_minutes=arguments.max_minutes, save_every=100)

    cache, val = PhotoCache(arguments.runs / "train"), PhotoCache(arguments.runs / "val")
    general = np.char.startswith(val.keys, "gen-")
    kinds = [np.flatnonzero(chosen) for chosen in (general, ~general)]
    count = min(16, *(len(kind) // 3 for kind in kinds))
    held_out = [center_crops(val, kind[: 3 * count : 3]) for kind in kinds]
    held_out = torch.cat(held_out).to(device)
    batches = shuffled_batches(len(cache), recipe["batch_size"], seed, run.step)

    def validate_step(step: int) -> None:
        with averaged(model, average):
            run.write_log(step, **validate(model, held_out, run.folder / f"sheet-{step:06d}.png"))

    if run.step == 0:
        validate_step(0)
    for step in run.steps(recipe["num_steps"], 250, validate_step):
        rng = np.random.default_rng((seed, step))
        factor = warmup_cosine(step, recipe["num_steps"], warmup=recipe["warmup"])
        optimizer.param_groups[0]["lr"] = recipe["learning_rate"] * factor
        images = random_crops(cache, next(batches), recipe["crop_size"], rng).to(device)
        images = blur_some(images, recipe["blur_probability"], rng)
        with accelerator.autocast():
            latents = model.encode(images).latent.float()
            noisy = latents + recipe["latent_noise"] * torch.randn_like(latents)
            if rng.random() < recipe["half_probability"]:
                noisy, images = functional.avg_pool2d(noisy, 2), functional.avg_pool2d(images, 2)
            decoded = model.decode(noisy).sample.float()
            gradient, values = critics.gradient(decoded, images, step >= recipe["adversarial_start"])
        penalty = recipe["latent_penalty"] * latents.pow(2).mean()
        torch.autograd.backward([decoded, penalty], [gradient, None])
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        average.step(model.parameters())
        values["critic"] = critics.learn(decoded, images, accelerator)
        values["latent_std"] = latents.detach().std()
        run.log(**{name: value.item() for name, value in values.items()})


if __name__ == "__main__":
    main()
