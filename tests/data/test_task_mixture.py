"""Tasks and their mixture: masks as named, draws keyed by the sample, halves checked."""

from collections import Counter

import pytest
import torch

from mmdiff.backbone.transformer import DiffusionTransformer
from mmdiff.data.task import NUM_DRAWS, TASKS, ClipSize
from mmdiff.data.task_mixture import TaskMixture
from mmdiff.diffusion.noise import NoiseKey
from mmdiff.diffusion.objective import DiffusionObjective
from mmdiff.training.task_losses import task_losses
from mmdiff.values.context import Context
from mmdiff.values.latents import ClipLatents

SIZE = ClipSize(frames=9, height=8, width=8, audio_frames=36)
LATENTS = ClipLatents(torch.randn(6, 4, 9, 8, 8), torch.randn(6, 2, 36, 4))
KEY = NoiseKey(seed=3, step=5, sample_ids=(10, 11, 12, 13, 14, 15))


def draws(seed: int) -> list[float]:
    return torch.rand(NUM_DRAWS, generator=torch.Generator().manual_seed(seed)).tolist()


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("seed", range(5))
def test_masks_are_firmness_and_leave_something_to_generate(name: str, seed: int) -> None:
    task = TASKS[name](SIZE, draws(seed))
    left = 0.0
    for mask, shape in ((task.video, (1, 1, 9, 8, 8)), (task.audio, (1, 1, 36, 4))):
        whole = torch.zeros(shape) if mask is None else mask.expand(shape)
        assert whole.min() >= 0 and whole.max() <= 1
        left += float((1 - whole).sum())
    assert left > 0


def test_prefix_and_suffix_give_the_same_stretch_of_picture_and_sound() -> None:
    for name, side in (("prefix", 0), ("suffix", -1)):
        for seed in range(20):
            task = TASKS[name](SIZE, draws(seed))
            assert task.video is not None and task.audio is not None
            frames = int(task.video.sum())
            assert 1 <= frames <= 8
            assert 4 * frames - 2 <= int(task.audio.sum()) <= 4 * frames
            assert task.video.flatten()[side] == 1


def test_probabilities_are_kept() -> None:
    mixture = TaskMixture({"joint": 0.5, "first_frame": 0.3, "still_image": 0.2})
    names = Counter(
        name
        for step in range(600)
        for name in mixture.draw(LATENTS, NoiseKey(0, step, KEY.sample_ids)).names
    )
    total = sum(names.values())
    for name, probability in mixture.probabilities.items():
        assert names[name] / total == pytest.approx(probability, abs=0.06)


def test_a_sample_has_its_task_in_any_batch() -> None:
    mixture = TaskMixture({"prefix": 0.5, "spatial_box": 0.5})
    together = mixture.draw(LATENTS, KEY)
    for row, sample in enumerate(KEY.sample_ids):
        alone = mixture.draw(LATENTS[row : row + 1], NoiseKey(KEY.seed, KEY.step, (sample,)))
        assert alone.names == (together.names[row],)
        for half in ("video", "audio"):
            mine, ours = getattr(alone.state.mask, half), getattr(together.state.mask, half)
            if mine is not None:
                shape = (1, *ours.shape[1:])
                assert torch.equal(mine.expand(shape), ours[row : row + 1])


def test_all_samples_of_a_step_are_of_one_family() -> None:
    mixture = TaskMixture({"joint": 0.4, "still_image": 0.3, "sound_only": 0.3})
    seen = set()
    for step in range(30):
        batch = mixture.draw(LATENTS, NoiseKey(0, step, KEY.sample_ids))
        assert len(set(batch.names)) == 1
        seen.add((batch.names[0], batch.state.latents.modalities))
        if batch.names[0] == "still_image":
            assert batch.state.latents.video is not None
            assert torch.equal(batch.state.latents.video, LATENTS.video[:, :, :1])  # type: ignore[index]
    assert seen == {
        ("joint", ("video", "audio")),
        ("still_image", ("video",)),
        ("sound_only", ("audio",)),
    }


def test_tasks_that_cut_say_in_which_rows() -> None:
    batch = TaskMixture({"joint": 0.4, "apart": 0.3, "frames_apart": 0.3}).draw(LATENTS, KEY)
    assert batch.ablation is not None
    for cut, name in (
        (batch.ablation.without_view, "apart"),
        (batch.ablation.without_time, "frames_apart"),
    ):
        rows = [False] * 6 if cut is None else cut.tolist()
        assert rows == [drawn == name for drawn in batch.names]


def test_a_half_that_is_never_there_is_an_error_that_names_the_cure() -> None:
    with pytest.raises(ValueError, match=r"no audio, and the task 'joint'.*task=picture_only"):
        TaskMixture().draw(ClipLatents(LATENTS.video), KEY)
    batch = TaskMixture({"picture_only": 1.0}).draw(ClipLatents(LATENTS.video), KEY)
    assert batch.state.latents.modalities == ("video",)


def test_bad_probabilities_are_refused() -> None:
    with pytest.raises(ValueError, match="did you mean first_frame"):
        TaskMixture({"frist_frame": 1.0})
    with pytest.raises(ValueError, match=r"add up to 0\.5"):
        TaskMixture({"joint": 0.5})
    with pytest.raises(ValueError, match="must be a number from 0 on"):
        TaskMixture({"joint": 2.0, "first_frame": -1.0})


@pytest.mark.parametrize("name", TASKS)
def test_every_task_trains_and_what_is_given_has_no_loss(name: str) -> None:
    torch.manual_seed(0)
    transformer = DiffusionTransformer(
        num_attention_heads=2,
        attention_head_dim=12,
        num_layers=1,
        text_dim=8,
        video_channels=4,
        audio_channels=2,
        audio_rows=4,
    )
    batch = TaskMixture({name: 1.0}).draw(LATENTS, KEY)
    context = Context(torch.randn(6, 3, 8), torch.ones(6, 3, dtype=torch.bool))
    losses, samples = task_losses(DiffusionObjective(), transformer, batch, context, KEY)
    losses["loss"].backward()
    assert all(parameter.grad is not None for parameter in transformer.parameters())
    for each in samples:
        given = batch.state.mask.get(each.modality)
        if given is not None and given.min() == 1:
            assert each.loss.eq(0).all() and each.level.eq(0).all()
        else:
            assert each.loss.max() > 0


PICTURES = ClipLatents(LATENTS.video, None)
SOUNDS = ClipLatents(None, LATENTS.audio)
ALL = dict.fromkeys(TASKS, 1 / len(TASKS))


@pytest.mark.parametrize("latents", [PICTURES, SOUNDS], ids=["picture", "sound"])
def test_clips_that_lack_a_half_train_the_tasks_that_do_without(latents: ClipLatents) -> None:
    mixture, both = TaskMixture(ALL), ("video", "audio")
    seen: Counter[str] = Counter()
    for step in range(300):
        batch = mixture.draw(latents, NoiseKey(0, step, KEY.sample_ids), both)
        assert batch.state.latents.modalities == latents.modalities
        seen.update(batch.names)
    crossing = {"apart", "picture_to_sound", "sound_to_picture"}
    without_picture = {"sound_only", "joint", "frames_apart", "prefix", "suffix"}
    wanted = (
        set(TASKS) - crossing - {"sound_only", "time_span_of_sound"}
        if latents is PICTURES
        else without_picture | {"time_span_of_sound"}
    )
    assert set(seen) == wanted


def test_what_is_given_of_an_absent_half_is_left_out() -> None:
    task = TASKS["spatial_box"](SIZE, [0.1] * NUM_DRAWS)
    assert task.audio is not None
    alone = task.within({"video"})
    assert alone.audio is None and alone.modalities == ("video",)
    assert alone.video is task.video
    assert task.within({"video", "audio"}).audio is task.audio


def test_a_set_that_serves_no_task_is_refused() -> None:
    with pytest.raises(ValueError, match="no audio, and the task 'joint'"):
        TaskMixture().draw(PICTURES, KEY)
    TaskMixture().draw(PICTURES, KEY, ("video", "audio"))
    with pytest.raises(ValueError, match="none of the tasks picture_to_sound"):
        TaskMixture({"picture_to_sound": 1.0}).draw(PICTURES, KEY, ("video", "audio"))


def test_of_stills_only_tasks_that_leave_something_to_generate_are_drawn() -> None:
    mixture = TaskMixture({name: 1 / len(TASKS) for name in TASKS})
    still = ClipLatents(torch.randn(6, 4, 1, 8, 8))
    names = set()
    for step in range(60):
        batch = mixture.draw(still, NoiseKey(3, step, KEY.sample_ids), ("video", "audio"))
        names.update(batch.names)
        mask = batch.state.mask.video
        assert mask is None or bool((mask < 1).flatten(1).any(dim=1).all())
    assert {"joint", "still_image", "spatial_box"} <= names
    assert not names & {"first_frame", "prefix", "suffix", "picture_to_sound"}
    with pytest.raises(ValueError, match="can be trained on stills; add 'joint'"):
        TaskMixture({"first_frame": 1}).draw(still, KEY, ("video", "audio"))
