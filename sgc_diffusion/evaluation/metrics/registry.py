"""Every metric: what it is called, which way is better, its range, who defined it, and which weights it needs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from sgc_diffusion.features.weights import WeightsFile, hub_file

PYIQA = "chaofengc/IQA-PyTorch-Weights"
TORCHVISION = "https://download.pytorch.org/models"
CLIP = "https://openaipublic.azureedge.net/clip/models"
DEFAULT_SEGMENTER = "openmmlab/upernet-convnext-small"  # ADE20K: knows sky, mountain, tree, which VOC's 21 labels lack
DEFAULT_SENDER = "landscape-256"  # the pipeline whose segmenter judges as the paper's own does

FILES = {
    "musiq": hub_file(PYIQA, "musiq_koniq_ckpt-e95806b9.pth", "musiq.pth"),
    "hyperiqa": hub_file(PYIQA, "HyperIQA-resnet50-koniq10k-c96c41b1.pth", "hyperiqa.pth"),
    "dbcnn": hub_file(PYIQA, "DBCNN_KonIQ10k-2de81c0a.pth", "dbcnn.pth"),
    "niqe": hub_file(PYIQA, "niqe_modelparameters.mat", "niqe.mat", "niqe_pris_params.npz"),
    "clipiqa": WeightsFile(
        "RN50.pt", f"{CLIP}/afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762/RN50.pt", ("clipiqa.pt",)
    ),
    "clip": hub_file(
        "timm/vit_large_patch14_clip_224.openai",
        "open_clip_model.safetensors",
        "ViT-L-14.pt",
        name="ViT-L-14.safetensors",
    ),
    "alexnet": WeightsFile("alexnet-owt-7be5be79.pth", f"{TORCHVISION}/alexnet-owt-7be5be79.pth", ("alexnet.pth",)),
    "vgg16": WeightsFile("vgg16-397923af.pth", f"{TORCHVISION}/vgg16-397923af.pth", ("vgg16.pth",)),
    "inception": hub_file(PYIQA, "pt_inception-2015-12-05-6726825d.pth", "inception.pth"),
    "vgg19d": WeightsFile(
        "vgg19_distilled_16x.safetensors",
        hint="put vgg19_distilled_16x.safetensors (a VGG19 at a quarter of the channels, SHA-256 b45757743ec1…, from "
        "collaborative distillation, https://github.com/MingSun-Tse/Collaborative-Distillation) into WEIGHTS_DIR",
    ),
}
SEGMENTER_HINT = (
    f"hf download {DEFAULT_SEGMENTER}, or --segmenter with a Hub id, a folder, torchvision/deeplabv3_resnet101:FILE or "
    "a .tflite file"
)


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: key of the results.
        title: for tables and plots.
        direction: which way is better; `one` is nearer to 1.
        low: least possible value, or what is practically so; None if there is none.
        high: the greatest.
        group: what it judges.
        reference: what it compares the decoded picture with: the original (`full`), nothing (`none`), or all decoded
            pictures with all originals (`set`).
        source: who defined it.
        file: key of `FILES`, `segmenter`, or empty if it needs no weights.
        min_side: pixels that each side of a picture needs; a smaller picture's row lacks the metric.
    """

    name: str
    title: str
    direction: Literal["higher", "lower", "one"]
    low: float | None
    high: float | None
    group: Literal["realism", "semantic", "distortion", "perception", "set"]
    reference: Literal["full", "none", "set"]
    source: str
    file: str = ""
    min_side: int = 1

    def merit(self, value: float) -> float:
        """Return a number that is the greater the better a value is."""
        return {"higher": value, "lower": -value, "one": -abs(value - 1)}[self.direction]

    @property
    def weights(self) -> str:
        """The command that gets its weights; empty if it needs none."""
        return SEGMENTER_HINT if self.file == "segmenter" else FILES[self.file].command() if self.file else ""


def _table(metrics: Iterable[Metric]) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics}


SGC = "Bordin & Maugey, MMSP 2023, https://hal.science/hal-04231421"
LABELS = f"between the segmenter's label maps of both pictures; {SGC}"
FRECHET = "Heusel et al., https://arxiv.org/abs/1706.08500"
KERNEL = "Bińkowski et al., https://arxiv.org/abs/1801.01401"
LITE1 = "pooled features of EfficientNet-Lite1, which nothing here was trained with"
RETIRED = ("fid_vgg19d", "kid_vgg19d")  # in older results; of the first stage's own loss network, and misleading

METRICS = _table(
    [
        Metric("musiq", "MUSIQ", "higher", 0, 100, "realism", "none",
               "Ke et al., https://arxiv.org/abs/2108.05997; KonIQ-10k weights of pyiqa", "musiq"),
        Metric("clipiqa", "CLIP-IQA", "higher", 0, 1, "realism", "none",
               "Wang et al., https://arxiv.org/abs/2207.12396; CLIP RN50, pyiqa's prompts", "clipiqa", 32),
        Metric("hyperiqa", "HyperIQA", "higher", 0, 1, "realism", "none",
               "Su et al., CVPR 2020; KonIQ-10k weights of pyiqa", "hyperiqa"),
        Metric("dbcnn", "DBCNN", "higher", 0, 1, "realism", "none",
               "Zhang et al., https://arxiv.org/abs/1907.02665; KonIQ-10k weights of pyiqa; the SGC paper prints 100 "
               "times the value", "dbcnn", 32),
        Metric("niqe", "NIQE", "lower", 0, None, "realism", "none",
               "Mittal et al., IEEE SPL 2013", "niqe", 192),
        Metric("textured_ratio", "Texture, textured areas", "one", 0, None, "realism", "full",
               "high-pass luma beside the original's, in its most textured third; see `texture.py`", min_side=8),
        Metric("calm_ratio", "Texture, calm areas", "one", 0, None, "realism", "full",
               "the same in its calmest third", min_side=8),
        Metric("label_bce", "Label BCE", "lower", 0, None, "semantic", "full",
               f"binary cross entropy {LABELS}", "segmenter"),
        Metric("label_miou", "Label mIoU", "higher", 0, 1, "semantic", "full",
               "mean over the labels of either map of intersection over union", "segmenter"),
        Metric("label_agreement", "Label agreement", "higher", 0, 1, "semantic", "full",
               "share of pixels with the same label", "segmenter"),
        Metric("sender_bce", "Label BCE, sender's", "lower", 0, None, "semantic", "full",
               f"judged by the segmenter of the pipeline that encodes, as the paper does; {LABELS}"),
        Metric("lite1_cosine", "Lite1 cosine", "higher", -1, 1, "semantic", "full", f"of {LITE1}", min_side=32),
        Metric("lite1_top5", "Lite1 top 5", "higher", 0, 1, "semantic", "full",
               "share of the original's five likeliest ImageNet classes that the decoded picture has too", min_side=32),
        Metric("clip_similarity", "CLIP cosine", "higher", -1, 1, "semantic", "full",
               f"CLIP ViT-L/14, Radford et al., https://arxiv.org/abs/2103.00020; {SGC}", "clip"),
        Metric("psnr", "PSNR (dB)", "higher", 0, 100, "distortion", "full",
               "RGB, 100 dB for equal pictures and at most"),
        Metric("ssim", "SSIM", "higher", -1, 1, "distortion", "full",
               "Wang et al., IEEE TIP 2004; mean of R, G and B, 11×11 Gaussian window", min_side=11),
        Metric("ms_ssim", "MS-SSIM", "higher", 0, 1, "distortion", "full",
               "Wang et al., Asilomar 2003; mean of R, G and B", min_side=176),
        Metric("si_ssim", "SI-SSIM", "higher", -1, 1, "distortion", "full",
               "Song et al., preprint 2025, Investigation of Image Compression Based on Semantic Network and Deep "
               "Residual Variational Auto-Encoder; 8×8 blocks weighted by Grad-CAM of VGG16",
               "vgg16", 8),
        Metric("lpips", "LPIPS", "lower", 0, 1, "perception", "full",
               "Zhang et al., https://arxiv.org/abs/1801.03924; AlexNet, version 0.1", "alexnet", 32),
        Metric("dists", "DISTS", "lower", 0, 1, "perception", "full",
               "Ding et al., https://arxiv.org/abs/2004.07728", "vgg16", 32),
        Metric("vgg_distance", "VGG distance", "lower", 0, 2, "perception", "full",
               "LPIPS without learned weights, on a distilled VGG19", "vgg19d", 32),
        Metric("cvvdp", "ColorVideoVDP (JOD)", "higher", None, 10, "perception", "full",
               "Mantiuk et al., https://arxiv.org/abs/2401.11485; on a 4K screen of 30 inches, 10 is no difference",
               min_side=32),
        Metric("fid", "FID", "lower", 0, None, "set", "set", FRECHET, "inception"),
        Metric("kid", "KID", "lower", None, None, "set", "set", KERNEL, "inception"),
        Metric("lite1_frechet", "Fréchet, Lite1", "lower", 0, None, "set", "set",
               f"{FRECHET}; decoded pictures from originals of other pictures, {LITE1}", min_side=32),
        Metric("lite1_frechet_excess", "Fréchet, Lite1, excess", "lower", None, None, "set", "set",
               "that minus the same between halves of the originals", min_side=32),
        Metric("texture_correlation", "Texture correlation", "lower", -1, 1, "set", "set",
               "high-pass luma of drawings of different pictures of one size, mean over pairs; 0 for photographs",
               min_side=8),
    ]
)  # fmt: skip
