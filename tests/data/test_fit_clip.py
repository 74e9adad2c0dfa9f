"""Clips of any size, rate and length become samples of one shape, and every change is told."""

from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from torch import Generator

from mmdiff.data.clip_spec import ClipSpec
from mmdiff.data.fit_clip import FittedClip, fit_clip
from mmdiff.media.clip import Clip
from mmdiff.media.rejection import Reason, RejectedMedia, Rejection
from mmdiff.media.resample import resample_waveform, resize

SPEC = ClipSpec(num_frames=9, height=16, width=16, frame_rate=8, sample_rate=8000)


def clip_of(seconds=2.0, *, size=(16, 16), fps=8, rate=8000, channels=1, sound_seconds=None):
    draw = Generator().manual_seed(0)
    num_frames = round(seconds * Fraction(fps))
    num_samples = round((seconds if sound_seconds is None else sound_seconds) * rate)
    return Clip(
        frames=torch.randint(0, 256, (num_frames, *size, 3), generator=draw).to(torch.uint8),
        fps=Fraction(fps),
        waveform=torch.rand(channels, num_samples, generator=draw) - 0.5,
        sample_rate=rate,
    )


def fitted(clip, spec=SPEC, **arguments) -> FittedClip:
    return fit_clip(clip, spec, caption="a ball", key="a.mp4", **arguments)


def refused(clip, spec=SPEC, **arguments) -> Rejection:
    with pytest.raises(RejectedMedia) as error:
        fitted(clip, spec, **arguments)
    result = error.value.rejection
    assert (result.file, result.stage) == ("a.mp4", "fit")
    assert result.message.startswith("a.mp4 ")
    return result


def test_a_clip_of_the_shape_is_kept_to_the_last_bit():
    clip = clip_of(9 / 8)
    result = fitted(clip)
    assert result.adaptations == ()
    assert torch.equal(result.sample.frames, clip.frames)
    assert torch.equal(result.sample.waveform, clip.waveform)
    assert (result.sample.caption, result.sample.key) == ("a ball", "a.mp4")


@pytest.mark.parametrize(
    "size, fps, rate, channels",
    [
        ((16, 16), 8, 8000, 1),
        ((17, 16), 7, 44100, 2),
        ((16, 40), Fraction(30000, 1001), 11025, 6),
        ((90, 160), 60, 44101, 1),
        ((31, 33), 8, 44100, 1),
        ((12, 12), 7, 8000, 2),
    ],
)
def test_everything_gets_the_shape_and_every_change_is_told(size, fps, rate, channels):
    clip = clip_of(9 / 8 + 0.25, size=size, fps=fps, rate=rate, channels=channels)
    result = fitted(clip)
    assert result.sample.frames.shape == (9, 16, 16, 3)
    assert result.sample.frames.dtype == torch.uint8
    assert result.sample.waveform.shape == (1, 9000)
    assert result.sample.waveform.dtype == torch.float32
    assert result.sample.waveform.abs().max() <= 1
    told = "; ".join(result.adaptations)
    assert ("fps" in told) == (fps != 8)
    assert ("Hz" in told) == (rate != 8000)
    assert ("mono from" in told) == (channels > 1)
    assert ("cropped" in told) == (size not in ((16, 16), (12, 12)))
    assert ("scaled" in told) == (min(size) != 16)
    assert "cut by" in told


@pytest.mark.parametrize("seed", range(0, 12, 4))
@pytest.mark.parametrize("fps, rate", [(30, 44100), (Fraction(30000, 1001), 48000), (7, 8000)])
def test_a_flash_and_a_click_stay_together(seed, fps, rate):
    num_frames, moment = round(6 * Fraction(fps)), 2.5 + 0.071 * seed
    frames = torch.zeros(num_frames, 16, 16, 3, dtype=torch.uint8)
    flash = int(moment * Fraction(fps))
    frames[flash:] = 255  # from here on white, so that no rate can step over it
    waveform = torch.zeros(1, 6 * rate)
    waveform[:, round(flash / Fraction(fps) * rate) :] = 0.5
    spec = ClipSpec(16, 16, 16, frame_rate=8, sample_rate=8000, span="random")
    clip = Clip(frames, Fraction(fps), waveform, rate)
    met = 0
    for draw in range(8):
        generator = Generator().manual_seed(100 * seed + draw)
        sample = fitted(clip, spec, generator=generator).sample
        bright = sample.frames[:, 0, 0, 0] > 127
        loud = sample.waveform[0] > 0.25
        seen = int(bright.int().argmax()) / 8 if bright.any() else 16 / 8
        heard = int(loud.int().argmax()) / 8000 if loud.any() else 16 / 8
        assert -2 / 8000 <= seen - heard < 1 / 8 + 2 / 8000
        met += 0 < seen < 2
    assert met


def test_resampling_a_span_is_the_span_of_the_resampled():
    clip = clip_of(5.0, rate=44100, channels=2)
    whole = resample_waveform(clip.waveform.mean(0, keepdim=True), 44100, 8000)
    for start in (0, 1.125, 2.0, 3.3):
        sample = fitted(clip, start_seconds=start).sample
        first = round(start * 8000)
        torch.testing.assert_close(
            sample.waveform, whole[:, first : first + 9000], atol=1e-5, rtol=0
        )


def test_scaling_is_that_of_the_room_of_media():
    clip = clip_of(9 / 8, size=(48, 48))
    assert torch.equal(fitted(clip).sample.frames, resize(clip.frames, 16, 16))


def test_the_crop_is_the_middle():
    clip = clip_of(9 / 8, size=(16, 36))
    result = fitted(clip)
    assert result.adaptations == ("cropped 16 x 36 -> 16 x 16",)
    assert torch.equal(result.sample.frames, clip.frames[:, :, 10:26])


def test_random_crops_and_spans_cover_all_there_is():
    columns = torch.arange(40, dtype=torch.uint8)
    frames = columns.expand(24, 16, 40)[..., None].repeat(1, 1, 1, 3)
    frames = frames + 100 * (torch.arange(24) % 2).to(torch.uint8)[:, None, None, None]
    clip = Clip(frames=frames, fps=Fraction(8))
    spec = ClipSpec(9, 16, 16, frame_rate=8, crop="random", span="random")
    generators = [Generator().manual_seed(seed) for seed in range(250)]
    results = [fitted(clip, spec, generator=generator) for generator in generators]
    lefts = {int(result.sample.frames[0, 0, 0, 0]) % 100 for result in results}
    assert lefts == set(range(25))
    starts = {
        phrase for result in results for phrase in result.adaptations if phrase.startswith("cut")
    }
    assert len(starts) == 24 - 9 + 1


def test_chance_is_a_function_of_the_generator_or_of_the_key():
    clip = clip_of(5.0, size=(32, 50))
    spec = ClipSpec(9, 16, 16, frame_rate=8, sample_rate=8000, crop="random", span="random")
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one, other = fitted(clip, spec), fitted(clip, spec)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.sample.frames, other.sample.frames)
    assert torch.equal(one.sample.waveform, other.sample.waveform)
    drawn = fitted(clip, spec, generator=Generator().manual_seed(1))
    assert not torch.equal(drawn.sample.waveform, one.sample.waveform)


@pytest.mark.parametrize("missing, is_taken", [(0.1, True), (0.125, True), (0.2, False)])
def test_padding_up_to_the_tolerance(missing, is_taken):
    short_sound = clip_of(9 / 8, sound_seconds=9 / 8 - missing)
    if not is_taken:
        assert refused(short_sound).reason is Reason.TOO_SHORT
        return
    result = fitted(short_sound)
    assert result.adaptations == (f"silence behind {9 / 8 - missing:.3g} s of sound",)
    num_heard = round((9 / 8 - missing) * 8000)
    assert not result.sample.waveform[:, num_heard:].any()
    assert torch.equal(result.sample.waveform[:, :num_heard], short_sound.waveform)


def test_a_picture_short_by_a_frame_is_held():
    clip = clip_of(1.0, sound_seconds=9 / 8)
    result = fitted(clip)
    assert result.adaptations == ("last frame held for 0.125 s",)
    assert torch.equal(result.sample.frames[8], clip.frames[7])
    strict = ClipSpec(9, 16, 16, frame_rate=8, sample_rate=8000, max_padding_seconds=0.0)
    assert "num_frames=8" in refused(clip, strict).message


def test_sound_that_ends_early_is_avoided_where_there_is_room():
    clip = clip_of(5.0, sound_seconds=2.0)
    spec = ClipSpec(9, 16, 16, frame_rate=8, sample_rate=8000, span="random")
    for seed in range(30):
        result = fitted(clip, spec, generator=Generator().manual_seed(seed))
        assert not any("silence" in phrase for phrase in result.adaptations)


def test_what_is_too_short_or_too_small_is_told_with_the_cure():
    short = refused(clip_of(0.5))
    assert short.reason is Reason.TOO_SHORT
    assert "0.5 s of video" in short.message
    assert "num_frames=4" in short.message
    assert refused(clip_of(3.0), start_seconds=2.5).reason is Reason.TOO_SHORT
    assert refused(clip_of(3.0), start_seconds=7).reason is Reason.TOO_SHORT
    small = refused(clip_of(9 / 8, size=(8, 20)))
    assert small.reason is Reason.TOO_SMALL
    assert "8 x 20" in small.message
    assert "max_upscale" in small.message


def test_v1_a_name_of_several_lines_is_told_on_one():
    with pytest.raises(RejectedMedia) as error:
        fit_clip(clip_of(0.5), SPEC, caption="a", key="a\nb\udce9.mp4")
    result = error.value.rejection
    assert result.file == "a\nb\udce9.mp4"
    assert result.message.startswith("a\\nb\\udce9.mp4 has 0.5 s")


def test_nothing_before_the_start_is_used():
    clip = clip_of(4.0)
    result = fitted(clip, start_seconds=1.5)
    assert torch.equal(result.sample.frames, clip.frames[12:21])
    assert torch.equal(result.sample.waveform, clip.waveform[:, 12000:21000])
    assert result.adaptations == ("cut by 2.88 s, begins at 1.5 s",)


def test_one_half_alone():
    clip = clip_of(9 / 8)
    silent = Clip(frames=clip.frames, fps=clip.fps)
    assert fitted(silent).sample.waveform is None
    unseen = Clip(waveform=clip.waveform, sample_rate=8000)
    assert fitted(unseen).sample.frames is None
    assert fitted(unseen).adaptations == ()


def test_stills_fit_a_spec_of_one_frame_only():
    still = Clip(frames=torch.full((1, 20, 16, 3), 7, dtype=torch.uint8))
    one = ClipSpec(1, 16, 16, frame_rate=8, sample_rate=8000)
    result = fitted(still, one)
    assert result.sample.frames.shape == (1, 16, 16, 3)
    assert result.adaptations == ("cropped 20 x 16 -> 16 x 16",)
    assert "num_frames=1" in refused(still).message
    video = clip_of(2.0)
    result = fitted(video, one)
    assert result.sample.frames.shape == (1, 16, 16, 3)
    assert result.sample.waveform.shape == (1, 1000)


@pytest.mark.parametrize("modality, reason", [("video", "no_picture"), ("audio", "no_sound")])
def test_required_and_ignored_modalities(modality, reason):
    clip = clip_of(9 / 8)
    only = {
        "video": Clip(frames=clip.frames, fps=clip.fps),
        "audio": Clip(waveform=clip.waveform, sample_rate=8000),
    }
    other = "audio" if modality == "video" else "video"
    sizes = {"num_frames": 9, "height": 16, "width": 16, "frame_rate": 8, "sample_rate": 8000}
    required = ClipSpec(**sizes, **{modality: "required"})
    assert refused(only[other], required).reason == reason
    assert fitted(only[modality], required).adaptations == ()
    ignored = ClipSpec(**sizes, **{modality: "ignored"})
    assert fitted(clip, ignored).adaptations == (f"{modality} left out",)
    lacking = {"video": Reason.NO_SOUND, "audio": Reason.NO_PICTURE}[modality]
    assert refused(only[modality], ignored).reason == lacking
    both = replace(ignored, **{other: "required"})
    assert refused(only[modality], both).reason == lacking  # not of the modality that is ignored
