"""Name, steps and strength → a sampler at its first timestep.

    timesteps 999 ─────────────────┬──────────────────────────────────── 0
                    strength·1000 ─┘ ├────┼────┼────┼────┤  steps·strength steps, evenly, whatever their number

A named sampler starts at the noise level that `strength` says and leaves no more noise behind than its last step does,
for every number of steps. diffusers' own grids do neither: they are cut to whole numbers of timesteps, so that many
steps begin in the middle of the schedule and others are told a noise level that is not theirs.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    LCMScheduler,
    LMSDiscreteScheduler,
    PNDMScheduler,
    UniPCMultistepScheduler,
)

Sampler: TypeAlias = Any  # a diffusers scheduler; their common class declares no `step`

FEW_STEPS = 4  # noise levels that denoisers for `lcm` were distilled at: 999, 749, 499, 249
SAMPLERS: dict[str, tuple[Any, dict[str, Any]]] = {
    # DDIM (Song et al., https://arxiv.org/abs/2010.02502) is the first order of DPM-Solver++ (Lu et al.,
    # https://arxiv.org/abs/2211.01095). DDIMScheduler itself takes only steps of a whole number of timesteps.
    "ddim": (DPMSolverMultistepScheduler, {"algorithm_type": "dpmsolver++", "solver_order": 1}),
    "dpm-solver++": (DPMSolverMultistepScheduler, {"algorithm_type": "dpmsolver++", "solver_order": 2}),
    "unipc": (UniPCMultistepScheduler, {"solver_order": 2}),  # Zhao et al., https://arxiv.org/abs/2302.04867
    # Luo et al., https://arxiv.org/abs/2310.04378; for denoisers distilled to few steps.
    "lcm": (LCMScheduler, {"original_inference_steps": FEW_STEPS}),
}
OTHER_GRIDS = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas", "use_flow_sigmas")
FEWEST_LEADING_STEPS = 100  # of the schedule; with fewer, a leading grid starts too far below the strength


def build_scheduler(name: str | None, trained: Sampler) -> Sampler:
    """Return a sampler of its own on the noise schedule that a denoiser was trained with.

    Args:
        name: `ddim`, `dpm-solver++`, `unipc` or `lcm`; None is a copy of `trained` with its class and settings
            but for clipping, or `ddim` for a DDIMScheduler.
        trained: the pipeline's registered scheduler; left as it is.

    Raises:
        ValueError: an unknown name.
    """
    if name is None and type(trained) is DDIMScheduler:
        name = "ddim"  # the same, for any number of steps
    # Clipping and thresholds, defaults of some schedulers, are for pixels, not for latents.
    plain: dict[str, Any] = {"clip_sample": False, "thresholding": False}
    if name is None:
        # Runge-Kutta steps can start nowhere but at the top of the schedule.
        options = {"skip_prk_steps": True} if isinstance(trained, PNDMScheduler) else {}
        return type(trained).from_config(trained.config, **plain, **options)
    if name not in SAMPLERS:
        raise ValueError(f"`scheduler` must be one of {', '.join(SAMPLERS)}, got {name!r}")
    kind, options = SAMPLERS[name]
    # A name means the same sampler for every denoiser, whatever grid its trained scheduler was published with.
    plain |= dict.fromkeys(OTHER_GRIDS, False)
    if name != "lcm":
        ends_at_first_level = name == "ddim" and not trained.config.get("set_alpha_to_one", True)
        plain["final_sigmas_type"] = "sigma_min" if ends_at_first_level else "zero"
    return kind.from_config(trained.config, **plain, **options)


def select_timesteps(
    scheduler: Sampler, num_inference_steps: int, strength: float, device: torch.device
) -> torch.Tensor:
    """Set a sampler to the timesteps from `strength` of the noise schedule down, and return them.

    Args:
        scheduler: from `build_scheduler`, or any diffusers scheduler that can noise a picture; the latter keep their
            own grid and start at its point next to the wanted one.
        num_inference_steps: of the whole schedule, 1 … 1000; the `strength` part of them is run, one at least. Samplers
            of few steps run no more than they have.
        strength: noise level to start from, as a part of the schedule, in (0, 1]; 1 is its last timestep.
        device: of the timesteps.

    Returns:
        (N,) timesteps, descending; where a sampler asks the denoiser several times a step, as often.

    Raises:
        ValueError: a scheduler that cannot start from a noised picture.
    """
    if not hasattr(scheduler, "add_noise"):
        raise ValueError(
            f"`scheduler` must be a diffusers scheduler with `add_noise`, got {type(scheduler).__name__}, which cannot "
            "start from a picture; give one for variance-preserving denoisers, such as DDIMScheduler"
        )
    if isinstance(scheduler, LCMScheduler):
        return _select_leaps(scheduler, num_inference_steps, strength, device)
    evenly = isinstance(scheduler, (DPMSolverMultistepScheduler, UniPCMultistepScheduler))
    if not evenly or any(scheduler.config.get(grid) for grid in OTHER_GRIDS):
        return _select_from_grid(scheduler, num_inference_steps, strength, device)
    timesteps = _even_timesteps(scheduler, num_inference_steps, strength)
    if isinstance(scheduler, DPMSolverMultistepScheduler):
        scheduler.set_timesteps(timesteps=timesteps, device=device)
    else:  # UniPC takes no timesteps from outside
        scheduler.set_timesteps(len(timesteps), device=device)
        sigmas = (1 / scheduler.alphas_cumprod[timesteps] - 1).sqrt()
        scheduler.sigmas = torch.cat([sigmas, scheduler.sigmas[-1:]])
        scheduler.timesteps = torch.tensor(timesteps, device=device)
    scheduler.set_begin_index(0)
    return scheduler.timesteps


def _even_timesteps(scheduler: Sampler, num_inference_steps: int, strength: float) -> list[int]:
    length = scheduler.config.num_train_timesteps
    reach = strength * length
    count = max(1, round(min(num_inference_steps * strength, reach)))
    leading = scheduler.config.solver_order == 1 and scheduler.config.timestep_spacing == "leading"
    whole = math.isclose(count, num_inference_steps * strength) and num_inference_steps >= FEWEST_LEADING_STEPS
    if leading and whole and strength < 1:
        # The grid that latent diffusion's own DDIM sampler takes: 696, 691, … 1 for 200 steps from 0.7.
        return [round(reach * (1 - (i + 1) / count)) + scheduler.config.steps_offset for i in range(count)]
    return [max(0, round(reach * (1 - i / count)) - 1) for i in range(count)]


def _select_leaps(scheduler: Sampler, num_inference_steps: int, strength: float, device: torch.device) -> torch.Tensor:
    """Start at the distilled noise level next to the wanted one, with no more leaps than there are levels below."""
    levels = scheduler.config.original_inference_steps
    reach = max(1, round(levels * strength))
    count = max(1, min(reach, round(num_inference_steps * strength)))
    scheduler.set_timesteps(count, device=device, strength=(reach + 0.5) / levels)  # which it rounds down to `reach`
    scheduler.set_begin_index(0)
    return scheduler.timesteps


def _select_from_grid(
    scheduler: Sampler, num_inference_steps: int, strength: float, device: torch.device
) -> torch.Tensor:
    """Start at the point of a scheduler's own grid next to the wanted timestep."""
    scheduler.set_timesteps(num_inference_steps, device=device)
    grid, last = scheduler.timesteps, strength * scheduler.config.num_train_timesteps - 1
    if isinstance(scheduler, PNDMScheduler) and strength < 1:
        if not scheduler.config["skip_prk_steps"]:
            raise ValueError("`scheduler` PNDMScheduler starts below the top only with `skip_prk_steps=True`; set that")
        starts = torch.cat([grid[:1], grid[2:]])  # it asks twice at the second point that it gets
        rest = starts[int((starts - last).abs().argmin()) :]
        scheduler.timesteps = torch.cat([rest[:2], rest[1:]])
        return scheduler.timesteps
    first = int((grid[:: scheduler.order] - last).abs().argmin()) * scheduler.order
    if isinstance(scheduler, LMSDiscreteScheduler):  # it looks back as many steps as its index says, run or not
        scheduler.timesteps, scheduler.sigmas, grid, first = grid[first:], scheduler.sigmas[first:], grid[first:], 0
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(first)
    return grid[first:]
