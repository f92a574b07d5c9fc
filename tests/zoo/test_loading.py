"""`from_pretrained`: each thing that a user may give works, or says in one message what to do."""

import json
import shutil

import pytest
import torch

from sgc_diffusion import SemanticCompressionPipeline
from sgc_diffusion.cli import main
from sgc_diffusion.payload.recipe import PRESETS, preset_values
from sgc_diffusion.zoo.hub import readable_hub_errors

load = SemanticCompressionPipeline.from_pretrained


@pytest.fixture()
def folder(tiny_pipeline_folder, tmp_path):
    return shutil.copytree(tiny_pipeline_folder, tmp_path / "pipe")


@pytest.fixture(scope="module")
def ade_segmenter(tmp_path_factory):
    from transformers import SegformerConfig, SegformerForSemanticSegmentation, SegformerImageProcessor

    from sgc_diffusion.taxonomy import load_taxonomy

    torch.manual_seed(0)
    config = SegformerConfig(
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
        id2label=dict(enumerate(load_taxonomy("ade20k-150").names)),
    )
    place = tmp_path_factory.mktemp("ade")
    SegformerForSemanticSegmentation(config).save_pretrained(place)
    SegformerImageProcessor(size={"height": 64, "width": 64}).save_pretrained(place)
    return place


def test_a_hub_id_offline_says_what_to_do():
    with pytest.raises(
        OSError, match=r"owner/name is no folder here and not in the local cache.*HF_HUB_OFFLINE.*local folder"
    ):
        load("owner/name")
    with pytest.raises(OSError, match="owner/name"):
        load("owner/name", revision="v1", local_files_only=True)


def test_a_cached_hub_repository_is_loaded_offline(tiny_pipeline_folder, tmp_path):
    repository = tmp_path / "models--owner--name"
    revision = "0123456789abcdef0123456789abcdef01234567"
    shutil.copytree(tiny_pipeline_folder, repository / "snapshots" / revision)
    (repository / "refs").mkdir()
    for name in ("main", "v1"):
        (repository / "refs" / name).write_text(revision)
    pipeline = load("owner/name", revision="v1", cache_dir=tmp_path)
    assert pipeline.weights_hash == load(tiny_pipeline_folder).weights_hash != 0
    with pytest.raises(OSError, match="owner/name"):
        load("owner/name", revision="v2", cache_dir=tmp_path)


@pytest.mark.parametrize(
    ("error", "part"),
    [("RepositoryNotFoundError", "check the spelling"), ("RevisionNotFoundError", "`revision`"),
     ("GatedRepoError", "accept its terms"), ("LocalEntryNotFoundError", "local folder"),
     ("EntryNotFoundError", "model_index.json")],
)  # fmt: skip
def test_answers_of_the_hub_become_one_line(error, part):
    from huggingface_hub import errors

    error_class = getattr(errors, error)
    raised = error_class.__new__(error_class, "several\nlines")  # without the HTTP response that its __init__ wants
    with pytest.raises(OSError, match=part) as caught, readable_hub_errors("owner/name"):
        raise raised
    assert "\n" not in str(caught.value) and "owner/name" in str(caught.value)


def test_a_typo_is_answered_with_the_nearest_name():
    with pytest.raises(ValueError, match="did you mean 'landscape-256'"):
        load("landscap-256")
    with pytest.raises(ValueError, match="sgc convert ldm"):
        load("semantic-synthesis-512")


def test_folders_of_other_pipelines_are_named(folder):
    index = json.loads((folder / "model_index.json").read_text())
    for name, part in (("StableDiffusionPipeline", "controlnet="), ("FluxPipeline", "load it with diffusers")):
        (folder / "model_index.json").write_text(json.dumps(index | {"_class_name": name}))
        with pytest.raises(ValueError, match=part):
            load(folder)
    (folder / "model_index.json").write_text("{")
    with pytest.raises(ValueError, match="cannot be read"):
        load(folder)


@pytest.mark.parametrize("part", ["vae", "unet", "segmenter", "scheduler"])
def test_a_missing_component_is_named(folder, part):
    shutil.rmtree(folder / part)
    with pytest.raises(ValueError, match=f"`{part}` .* the folder {part}/ is missing"):
        load(folder)


@pytest.mark.parametrize("part", ["unet", "vae", "segmenter"])
def test_missing_and_damaged_files_are_named(folder, part):
    weights = next((folder / part).glob("*.safetensors"))
    content = weights.read_bytes()
    for damaged in (content[: len(content) // 2], b""):
        weights.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"a component cannot be loaded .* download or convert it again"):
            load(folder)
    weights.unlink()
    with pytest.raises(ValueError, match=f"{part}/ holds no weights"):
        load(folder)
    (folder / part / "config.json").write_text("{")
    weights.write_bytes(content)
    with pytest.raises(ValueError, match=f"{part}/config.json' is not a valid JSON file"):
        load(folder)


def edit(path, **changes):
    content = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in (content | changes).items() if value is not ...}))


def test_an_index_that_lacks_a_part_or_names_an_unknown_label_set_is_told(folder):
    edit(folder / "model_index.json", taxonomy="coco")
    with pytest.raises(ValueError, match=r"`taxonomy` must be one of .*coco-stuff-182.*, got 'coco'"):
        load(folder)
    edit(folder / "model_index.json", taxonomy="voc-21")
    with pytest.raises(ValueError, match="`unet` takes 28 condition planes, but the taxonomy voc-21 needs 21"):
        load(folder)
    edit(folder / "model_index.json", vae=...)
    with pytest.raises(ValueError, match=r"`vae` .* is incomplete: model_index\.json does not name it"):
        load(folder)


def test_a_segmenter_whose_weights_have_another_number_of_labels_is_told(folder):
    edit(folder / "segmenter" / "config.json", id2label={"0": "sky", "1": "sea"}, label2id={"sky": 0, "sea": 1})
    with pytest.raises(ValueError, match=r"do not fit its config\.json"):
        load(folder)


@pytest.mark.parametrize(
    ("name", "controlnet", "message"),
    [
        ("contrlnet-seg", "a/b", "did you mean 'controlnet-seg'"),
        ("./nowhere", "a/b", "no folder here"),
        (
            "landscape-256",
            "a/b",
            "landscape-256 holds a LatentDiffusionCompressionPipeline, but `controlnet` goes with",
        ),
        ("a/b", "./nowhere", "`controlnet` './nowhere' is no folder here"),
        ("a/b", "a/b", "a/b is no folder here and not in the local cache"),
        ("controlnet-seg", "a/b", "stable-diffusion-v1-5 is no folder here and not in the local cache"),
    ],
)
def test_wrong_names_of_a_base_and_its_controlnet_are_told(name, controlnet, message):
    with pytest.raises((ValueError, OSError), match=message) as caught:
        load(name, controlnet=controlnet)
    assert "\n" not in str(caught.value)


def test_a_segmenter_of_the_wrong_label_count_is_refused(folder):
    from transformers import MobileNetV2Config, MobileNetV2ForSemanticSegmentation

    config = MobileNetV2Config(depth_multiplier=0.1, image_size=64, num_labels=7, output_stride=8)
    with pytest.raises(ValueError, match="`segmenter` knows 7 classes without names"):
        load(folder, segmenter=MobileNetV2ForSemanticSegmentation(config))


def test_another_segmenter_feeds_the_decoder_and_is_saved_with_its_processor(
    tiny_pipeline_folder, ade_segmenter, landscape, tmp_path
):
    pipeline = load(tiny_pipeline_folder, segmenter=ade_segmenter)
    payload = pipeline.analyze(landscape(64, 48))
    assert payload.labels.taxonomy_name == "landscape-24" and payload.label_map.max() < 24
    pipeline.save_pretrained(tmp_path / "again")
    again = load(tmp_path / "again")
    assert type(again.segmenter).__name__ == "SegformerForSemanticSegmentation"
    assert again.image_processor is not None
    assert (again.analyze(landscape(64, 48)).label_map == payload.label_map).all()


def test_a_missing_segmenter_can_be_given(folder, ade_segmenter):
    shutil.rmtree(folder / "segmenter")
    assert load(folder, segmenter=ade_segmenter).segmenter is not None


def test_presets_are_valid_recipes_and_can_be_chosen(tiny_pipeline, landscape):
    from sgc_diffusion import DecoderRecipe

    for name in PRESETS:
        DecoderRecipe(**preset_values(name))
    assert DecoderRecipe(**preset_values("fine")) == DecoderRecipe()
    recipe = tiny_pipeline.analyze(landscape(32, 32), preset="paper").recipe
    assert (recipe.scheduler, recipe.num_inference_steps, recipe.guidance_scale) == ("ddim", 200, 2.0)
    with pytest.raises(ValueError, match="`preset` must be one of fast, standard, fine, sdedit, paper"):
        tiny_pipeline.analyze(landscape(32, 32), preset="slow")


def test_the_command_takes_a_preset_and_a_segmenter(tiny_pipeline_folder, ade_segmenter, tmp_path, landscape, capsys):
    landscape(48, 32).save(tmp_path / "a.png")
    pipeline = ["--pipeline", str(tiny_pipeline_folder)]
    options = ["--preset", "paper", "--segmenter", str(ade_segmenter)]
    assert main(["compress", str(tmp_path / "a.png"), *pipeline, *options]) == 0
    capsys.readouterr()
    assert main(["inspect", str(tmp_path / "a.sgc"), "--json"]) == 0
    recipe = json.loads(capsys.readouterr().out)["recipe"]
    assert (recipe["scheduler"], recipe["num_inference_steps"]) == ("ddim", 200)
    assert main(["decompress", str(tmp_path / "a.sgc"), *pipeline, "--preset", "sdedit", "--steps", "2"]) == 0
