from dataclasses import dataclass, field

import pytest
import torch

from mmdiff.diffusion.noise import NoiseKey
from mmdiff.diffusion.noise_schedule import Cosine
from mmdiff.diffusion.objective import DiffusionObjective
from mmdiff.diffusion.parameterization import to_prediction
from mmdiff.diffusion.timesteps import LogitNormalDensity, MinSNR, shift_time
from mmdiff.values.context import Context
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents

GENERATOR = torch.Generator().manual_seed(0)
CLIP = ClipLatents(
    torch.randn(4, 2, 3, 2, 2, generator=GENERATOR), torch.randn(4, 2, 5, 4, generator=GENERATOR)
)
CONTEXT = Context(torch.zeros(4, 1, 1), torch.ones(4, 1, dtype=torch.bool))
KEY = NoiseKey(seed=1, step=2, sample_ids=("a", "b", "c", "d"))


@dataclass
class Recorder:
    """Predicts 0 and keeps what it was given."""

    latents: list[ClipLatents] = field(default_factory=list)
    time: list[ClipLatents] = field(default_factory=list)

    def __call__(self, latents: ClipLatents, time: ClipLatents, context: Context) -> ClipLatents:
        self.latents.append(latents)
        self.time.append(time)
        return latents.map(torch.zeros_like)


def times(objective: DiffusionObjective, ids: int = 200) -> tuple[torch.Tensor, torch.Tensor]:
    clip = ClipLatents(torch.zeros(ids, 1, 1, 1, 1), torch.zeros(ids, 1, 1, 1))
    levels = objective.levels(clip, NoiseKey(0, 0, tuple(range(ids))))
    assert levels.video is not None
    assert levels.audio is not None
    return levels.video.flatten(), levels.audio.flatten()


def test_a_sample_has_the_same_loss_in_any_batch() -> None:
    objective = DiffusionObjective(weighting=MinSNR(), time_density=LogitNormalDensity())
    together = objective(Recorder(), LatentState(CLIP), CONTEXT, KEY)
    alone = [
        objective(
            Recorder(),
            LatentState(CLIP[row : row + 1]),
            CONTEXT[row : row + 1],
            NoiseKey(1, 2, (sample_id,)),
        )
        for row, sample_id in enumerate(KEY.sample_ids)
    ]
    for name, loss in together.items():
        assert torch.allclose(loss, torch.stack([losses[name] for losses in alone]).mean())


def test_a_perfect_backbone_has_no_loss() -> None:
    objective = DiffusionObjective(Cosine(), "v")

    def perfect(latents: ClipLatents, time: ClipLatents, context: Context) -> ClipLatents:
        noise = objective.noise(CLIP, KEY)
        return ClipLatents.of(
            {
                name: to_prediction(
                    getattr(CLIP, name),
                    getattr(noise, name),
                    time=getattr(time, name),
                    schedule=Cosine(),
                    parameterization="v",
                )
                for name in latents.modalities
            }
        )

    assert objective(perfect, LatentState(CLIP), CONTEXT, KEY)["loss"] < 1e-12


def test_absent_half_is_absent() -> None:
    recorder = Recorder()
    losses = DiffusionObjective()(
        recorder, LatentState(ClipLatents(audio=CLIP.audio)), CONTEXT, KEY
    )
    assert losses.keys() == {"loss", "loss/audio"}
    assert recorder.time[0].video is None


def test_the_loss_is_the_weighted_sum() -> None:
    objective = DiffusionObjective(modality_weights={"audio": 0.25})
    losses = objective(Recorder(), LatentState(CLIP), CONTEXT, KEY)
    assert torch.allclose(losses["loss"], losses["loss/video"] + 0.25 * losses["loss/audio"])


def test_levels_have_one_number_per_row() -> None:
    recorder = Recorder()
    DiffusionObjective()(recorder, LatentState(CLIP), CONTEXT, KEY)
    time = recorder.time[0]
    assert time.video is not None
    assert time.audio is not None
    assert time.video.shape == (4, 1, 1, 1, 1)
    assert time.audio.shape == (4, 1, 1, 1)


def test_given_tokens_stay_clean_at_time_0_and_carry_no_loss() -> None:
    assert CLIP.video is not None
    mask = torch.zeros(4, 1, 3, 1, 1)
    mask[:, :, 0] = 1
    state = LatentState(CLIP, ClipLatents(video=CLIP.video), ClipLatents(video=mask))

    def loss_with(error_at_frame: int) -> torch.Tensor:
        recorder = Recorder()

        def backbone(latents: ClipLatents, time: ClipLatents, context: Context) -> ClipLatents:
            prediction = recorder(latents, time, context)
            assert prediction.video is not None
            prediction.video[:, :, error_at_frame] += 1
            return prediction

        loss = DiffusionObjective()(backbone, state, CONTEXT, KEY)["loss/video"]
        latents, time = recorder.latents[0].video, recorder.time[0].video
        assert latents is not None
        assert time is not None
        assert torch.equal(latents[:, :, 0], CLIP.video[:, :, 0])
        assert (time[:, :, 0] == 0).all()
        assert (time[:, :, 1:] > 0).all()
        return loss

    reference = loss_with(0)
    assert torch.equal(reference, loss_with(0))
    assert not torch.equal(reference, loss_with(1))
    everything = DiffusionObjective()(Recorder(), LatentState(CLIP), CONTEXT, KEY)["loss/video"]
    assert reference > 0.2 * everything  # a mean over generated tokens, not over all


def test_all_given_is_no_loss_and_no_nan() -> None:
    given = ClipLatents(audio=CLIP.audio)
    state = LatentState(CLIP, given, ClipLatents(audio=torch.ones(4, 1, 1, 1)))
    for schedule in ("v", "velocity"):
        objective = DiffusionObjective(Cosine(0.008), schedule, weighting=MinSNR())
        assert objective(Recorder(), state, CONTEXT, KEY)["loss/audio"] == 0


def test_times_are_shared_with_each_half_its_own_shift() -> None:
    video, audio = times(DiffusionObjective(shifts={"video": 3.0}))
    assert torch.allclose(video, shift_time(audio, 3.0))


def test_times_are_independent_or_shared_by_chance() -> None:
    independent = times(DiffusionObjective(shared_time_probability=0.0))
    assert not (independent[0] == independent[1]).any()
    assert torch.corrcoef(torch.stack(independent))[0, 1].abs() < 0.2
    video, audio = times(DiffusionObjective(shared_time_probability=0.5), ids=1000)
    assert 0.45 < float((video == audio).float().mean()) < 0.55


def test_step_moves_noise_and_times() -> None:
    objective = DiffusionObjective()
    first = objective(Recorder(), LatentState(CLIP), CONTEXT, KEY)
    second = objective(Recorder(), LatentState(CLIP), CONTEXT, NoiseKey(1, 3, KEY.sample_ids))
    assert first["loss"] != second["loss"]


def test_bf16_prediction_gives_fp32_loss_and_gradient() -> None:
    weight = torch.zeros((), requires_grad=True)
    losses = DiffusionObjective()(
        lambda latents, time, context: latents.map(lambda half: (weight * half).bfloat16()),
        LatentState(CLIP.to(torch.bfloat16)),
        CONTEXT,
        KEY,
    )
    assert losses["loss"].dtype == torch.float32
    losses["loss"].backward()
    assert weight.grad is not None
    assert weight.grad != 0


def test_arguments_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shifts names \['sound'\]"):
        DiffusionObjective(shifts={"sound": 1.0})
    with pytest.raises(ValueError, match=r"shifts.audio is 0"):
        DiffusionObjective(shifts={"audio": 0})
    with pytest.raises(ValueError, match=r"shared_time_probability is 2"):
        DiffusionObjective(shared_time_probability=2)
