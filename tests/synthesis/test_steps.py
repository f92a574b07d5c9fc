"""Callbacks, interruption and threads, as diffusers documents them."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback

from sgc_diffusion.synthesis.few_step import FewStepHead


@pytest.fixture()
def payload(tiny_pipeline, landscape):
    return tiny_pipeline.analyze(landscape(64, 64))


def test_a_callback_may_return_nothing(tiny_pipeline, payload):
    steps = []
    given = tiny_pipeline(payload, callback_on_step_end=lambda pipe, step, *_: steps.append((pipe, step))).images[0]
    assert steps[0] == (tiny_pipeline, 0) and len(steps) > 10
    assert given.tobytes() == tiny_pipeline(payload).images[0].tobytes()


@pytest.mark.parametrize(("names", "expected"), [((), set()), (["latents"], {"latents"})])
def test_a_callback_gets_the_tensors_that_it_asked_for(tiny_pipeline, payload, names, expected):
    seen = []
    tiny_pipeline(
        payload,
        num_inference_steps=2,
        callback_on_step_end=lambda pipe, step, timestep, tensors: seen.append(set(tensors)),
        callback_on_step_end_tensor_inputs=names,
    )
    assert seen and all(given == expected for given in seen)


class Zeros(PipelineCallback):
    tensor_inputs = ["latents"]  # noqa: RUF012 - as diffusers has it

    def callback_fn(self, pipeline, step_index, timestep, callback_kwargs):
        return {"latents": torch.zeros_like(callback_kwargs["latents"])}


def test_callback_objects_of_diffusers_are_taken(tiny_pipeline, payload):
    callback = MultiPipelineCallbacks([Zeros(cutoff_step_ratio=None, cutoff_step_index=0)])
    options = {"callback_on_step_end_tensor_inputs": [], "output_type": "latent"}
    latents = tiny_pipeline(payload, callback_on_step_end=callback, **options).images
    assert torch.count_nonzero(latents) == 0


def test_a_callback_can_stop_the_drawing(tiny_pipeline, payload):
    steps = []

    def stop(pipe, step, timestep, tensors):
        steps.append(step)
        assert not pipe.interrupt
        pipe._interrupt = step == 2

    stopped = tiny_pipeline(payload, callback_on_step_end=stop).images[0]
    assert steps == [0, 1, 2] and tiny_pipeline.interrupt and stopped.size == (64, 64)
    again = tiny_pipeline(payload).images[0]
    assert not tiny_pipeline.interrupt and again.tobytes() != stopped.tobytes()


def test_a_callback_is_told_how_many_steps_there_are(tiny_pipeline, payload):
    def zero_at_the_end(pipe, step, timestep, tensors):
        if step == pipe.num_timesteps - 1:
            tensors["latents"] = torch.zeros_like(tensors["latents"])
        return tensors

    latents = tiny_pipeline(payload, output_type="latent", callback_on_step_end=zero_at_the_end).images
    assert torch.count_nonzero(latents) == 0


def test_a_drawing_inside_a_callback_is_a_call_of_its_own(tiny_pipeline, payload):
    seen = []

    def draw_inside(pipe, step, timestep, tensors):
        if step == 0:
            pipe(
                payload,
                num_inference_steps=2,
                callback_on_step_end=lambda inner, *_: setattr(inner, "_interrupt", True),
            )
        seen.append((pipe.interrupt, pipe.num_timesteps))

    tiny_pipeline(payload, num_inference_steps=6, strength=0.5, callback_on_step_end=draw_inside)
    assert seen == [(False, 3)] * 3


def test_threads_draw_what_one_after_the_other_draws(tiny_pipeline, landscape):
    tiny_pipeline.few_step_head = FewStepHead.from_denoiser(tiny_pipeline.unet)
    payloads = [tiny_pipeline.analyze(landscape(*size)) for size in ((64, 64), (130, 70))]
    options = [
        {"preset": "fast"},
        {"num_inference_steps": 6},
        {"scheduler": "unipc"},
        {"scheduler": "ddim", "strength": 0.5},
    ]
    jobs = [(payload, option) for option in options for payload in payloads]

    def draw(job):
        return tiny_pipeline(job[0], **job[1]).images[0].tobytes()

    expected = [draw(job) for job in jobs]
    with ThreadPoolExecutor(4) as threads:
        for _ in range(3):
            assert list(threads.map(draw, jobs)) == expected


def test_a_callback_stops_no_drawing_of_another_thread(tiny_pipeline, payload):
    both_run = threading.Barrier(2, timeout=60)

    def draw(stops):
        steps = []

        def callback(pipe, step, timestep, tensors):
            steps.append(step)
            if step == 0:
                both_run.wait()
                pipe._interrupt = stops
                both_run.wait()

        tiny_pipeline(payload, num_inference_steps=8, callback_on_step_end=callback)
        return len(steps)

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(draw, [True, False])) == [1, tiny_steps(tiny_pipeline, payload)]


def tiny_steps(pipeline, payload):
    steps = []
    pipeline(payload, num_inference_steps=8, callback_on_step_end=lambda *_: steps.append(0))
    return len(steps)


def test_a_button_stops_the_drawings_of_all_threads(tiny_pipeline, payload):
    begun, stopped = threading.Barrier(3, timeout=60), threading.Event()

    def draw(_):
        steps = []

        def callback(pipe, step, timestep, tensors):
            steps.append(step)
            if step == 0:
                begun.wait()
                assert stopped.wait(60)

        tiny_pipeline(payload, num_inference_steps=8, callback_on_step_end=callback)
        return len(steps)

    with ThreadPoolExecutor(2) as threads:
        drawn = threads.map(draw, range(2))
        begun.wait()
        tiny_pipeline._interrupt = True
        stopped.set()
        assert list(drawn) == [1, 1]
