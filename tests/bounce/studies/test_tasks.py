"""Each study against a model that is perfect, and against one that takes no notice."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mmdiff.bounce.bounce import PITCHES
from mmdiff.bounce.caption import caption
from mmdiff.bounce.draw import draw
from mmdiff.bounce.studies.box_inpainting import BoxInpainting
from mmdiff.bounce.studies.extension import Extension
from mmdiff.bounce.studies.first_frame import FirstFrameToClip
from mmdiff.bounce.studies.interpolation import Interpolation
from mmdiff.bounce.studies.partial_noise import VideoToVideo, recolored
from mmdiff.bounce.studies.picture_to_sound import PictureToSound
from mmdiff.bounce.studies.sound_inpainting import SoundInpainting
from mmdiff.bounce.studies.sound_to_picture import SoundToPicture
from mmdiff.bounce.studies.truth import Truth, frames_of
from mmdiff.conditioning.extend import Extend
from mmdiff.evaluation.result import Result
from mmdiff.media.clip import Clip
from tests.bounce.studies.stages import answered_stage

STUDIES = [
    PictureToSound(),
    SoundToPicture(),
    FirstFrameToClip(),
    Extension(),
    Interpolation(),
    BoxInpainting(),
    SoundInpainting(),
]


def perfect(truth: Truth, asked) -> Clip:
    """The true clip; longer, where it is to be extended."""
    extend = [one for one in asked.conditions if isinstance(one, Extend)]
    if not extend:
        return truth.clip
    count = round(16 * (extend[0].before_seconds + extend[0].after_seconds))
    if extend[0].after_seconds:
        stage = answered_stage(perfect, Path())
        return draw(truth.event, replace(stage.shape, num_frames=33 + count))
    before = frames_of(truth)[1 : count + 1].flip(0)  # as if time ran back: it meets its beginning
    waveform = torch.nn.functional.pad(truth.clip.waveform, (count * 1000, 0))
    return replace(truth.clip, frames=torch.cat([before, frames_of(truth)]), waveform=waveform)


def heedless(truth: Truth, asked) -> Clip:
    """The same gray noise and the same three pings for all, as long as it has to be."""
    made = perfect(truth, asked)
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 255, made.frames.shape, generator=generator, dtype=torch.uint8)
    waveform = torch.zeros_like(made.waveform)
    tone = torch.sin(torch.arange(1600) * 0.9) * torch.linspace(1, 0, 1600)
    for start in (3000, 12_345, 26_000):
        waveform[:, start : start + 1600] = 0.5 * tone
    return replace(made, frames=frames, waveform=waveform)


def results(study, answer, folder: Path) -> list[Result]:
    return list(study.results(answered_stage(answer, folder)))


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: type(study).__name__)
def test_a_perfect_model_reaches_every_bound(study, tmp_path):
    found = results(study, perfect, tmp_path)
    for result in found:
        assert result.is_met, [f for f in result.figures if f.is_met is False]
        assert any(figure.wanted is not None for figure in result.figures)
        assert all(figure.count for figure in result.figures)


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: type(study).__name__)
def test_a_heedless_model_reaches_none(study, tmp_path):
    for result in results(study, heedless, tmp_path):
        assert not result.is_met
        wanted = [f for f in result.figures if f.wanted is not None and "sample step" not in f.name]
        assert sum(figure.is_met is False for figure in wanted) >= len(wanted) - 1


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: type(study).__name__)
def test_every_study_shows_a_clip_with_its_command(study, tmp_path):
    results(study, perfect, tmp_path)
    pages = sorted((tmp_path / "gallery").glob("*.md"))
    assert pages
    for page in pages:
        text = page.read_text()
        assert "mmdiff generate" in text
        assert (tmp_path / "gallery" / f"{page.stem}.storyboard.png").is_file()
        assert f"{page.stem}.given" in text or f"{page.stem}.0.given" in text


def test_a_wrong_pitch_fails_only_where_it_was_asked_for(tmp_path):
    def other_pitch(truth, asked):
        names = list(PITCHES)
        sound = names[(names.index(truth.event.sound) + 1) % len(names)]
        stage = answered_stage(perfect, tmp_path)
        return draw(replace(truth.event, sound=sound), stage.shape)

    without, asked = results(PictureToSound(), other_pitch, tmp_path)
    assert without.is_met
    assert asked.value("asked pitch") == 0
    assert asked.value("true impacts with a ping within 62 ms") > 95


def test_a_single_pixel_outside_the_box_is_found(tmp_path):
    study = BoxInpainting()

    def touched(truth, asked):
        frames = frames_of(truth).clone()
        outside = (~study.mask(truth)).nonzero()[0]
        frames[3, outside[0], outside[1], 0] ^= 1
        return replace(truth.clip, frames=frames)

    (result,) = results(study, touched, tmp_path)
    assert result.value("outside as it was, to the bit") == 0
    assert result.value("consistent") == 100


def test_the_box_hides_the_object_at_mid_clip(tmp_path):
    study = BoxInpainting()
    for truth in answered_stage(perfect, tmp_path).truths():
        mask = study.mask(truth)
        middle = frames_of(truth)[16].float()
        is_object = (middle - middle[~mask].median(0).values).abs().amax(-1) > 20
        assert bool((is_object <= mask).all())
        assert mask.sum() == 32 * 32


def test_a_clip_that_stops_at_the_seam_is_found(tmp_path):
    def jumping(truth, asked):
        made = perfect(truth, asked)
        frames = made.frames.clone()
        frames[33:] = torch.roll(frames[33:], 12, dims=2)
        return replace(made, frames=frames)

    (result,) = results(Extension(directions=("forward",)), jumping, tmp_path)
    assert not result.is_met
    assert result.value("jump at the seam over the median step, median") > 3
    assert result.value("jump at the seam over the median step <= 1.5, true clips") > 80


def test_video_to_video_tells_the_old_color_from_the_new(tmp_path):
    def by_strength(truth, asked):
        stage = answered_stage(perfect, tmp_path)
        is_strong = asked.conditions[0].strength > 0.5
        return draw(recolored(truth.event) if is_strong else truth.event, stage.shape)

    (result,) = results(VideoToVideo(strengths=(0.2, 0.8)), by_strength, tmp_path)
    assert result.value("strength 0.2: color kept") == 100
    assert result.value("strength 0.2: color as asked") == 0
    assert result.value("strength 0.8: color as asked") == 100
    assert result.value("strength 0.8: shape kept") == 100
    assert (tmp_path / "partial_noise.png").is_file()


def test_prompts_that_leave_things_out(tmp_path):
    for truth in answered_stage(perfect, tmp_path).truths(is_sounding=True):
        event = truth.event
        assert event.sound in truth.prompt
        assert event.sound not in truth.prompt_without_pitch
        assert truth.prompt_without_pitch.endswith("a ping at each bounce")
        assert event.color not in truth.prompt_of_motion
        assert event.background not in truth.prompt_of_motion
        assert event.motion in truth.prompt_of_motion
        assert caption(event) == truth.prompt


def test_truths_are_a_prefix_of_more_truths(tmp_path):
    few, many = (answered_stage(perfect, tmp_path, num_clips=n).truths() for n in (3, 9))
    assert [t.event for t in few] == [t.event for t in many[:3]]
