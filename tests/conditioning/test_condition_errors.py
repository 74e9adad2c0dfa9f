"""Impossible conditions: the error names the argument, what it is, what is legal, the hint."""

import re

import pytest
import torch

import mmdiff
from mmdiff.conditioning.condition import composed
from mmdiff.media.clip import Clip
from tests.conditioning.pooling import PoolingEncode, moving_frames, tone

FRAMES = moving_frames()
CLIP = Clip(frames=FRAMES, waveform=tone(17_000), sample_rate=16_000)

CONSTRUCTED = {
    "no image": (
        lambda: mmdiff.FirstFrame(3),
        TypeError,
        "image of FirstFrame is a int; it must be a path, a PIL image, an array, a tensor or a "
        "mmdiff.Clip",
    ),
    "no clip": (
        lambda: mmdiff.GivenVideo(None),
        TypeError,
        "clip of GivenVideo is a NoneType; it must be a path, a PIL image, an array, a tensor or a "
        "mmdiff.Clip",
    ),
    "no images": (
        lambda: mmdiff.Keyframes({}),
        TypeError,
        "images of Keyframes is {}; it must name an image for each time: "
        "{0.0: 'first.png', 2.0: 'last.png'}",
    ),
    "no time": (
        lambda: mmdiff.Keyframes({"now": FRAMES[0]}),
        TypeError,
        "a time in images of Keyframes is 'now'; it must be a number",
    ),
    "strength of a keyframe": (
        lambda: mmdiff.Keyframes({0: FRAMES[0]}, strength=0),
        ValueError,
        "strength of Keyframes is 0; it must be above 0 and at most 1: 0.5",
    ),
    "firmness": (
        lambda: mmdiff.Keyframes({0: FRAMES[0]}, firmness=0.5),
        TypeError,
        "firmness of Keyframes is now its strength: strength=0.5",
    ),
    "firmness of an edge": (
        lambda: mmdiff.Inpaint(CLIP, [1, 2, 3, 4], edge_firmness=0.5),
        TypeError,
        "edge_firmness of Inpaint is now its edge_strength: edge_strength=0.5",
    ),
    "strength": (
        lambda: mmdiff.PartialNoise(CLIP, 1.5),
        ValueError,
        "strength of PartialNoise is 1.5; it must be a number from 0 to 1: 1",
    ),
    "no strength": (
        lambda: mmdiff.PartialNoise(CLIP, "much"),
        TypeError,
        "strength of PartialNoise is 'much'; it must be a number from 0 to 1",
    ),
    "nothing to extend": (
        lambda: mmdiff.Extend(CLIP),
        ValueError,
        "before_seconds and after_seconds of Extend are both 0; say how much to make: "
        "after_seconds=1.0",
    ),
    "backwards": (
        lambda: mmdiff.Extend(CLIP, after_seconds=-1),
        ValueError,
        "after_seconds of Extend is -1; it must be a number from 0 on: 0",
    ),
    "nothing to paint": (
        lambda: mmdiff.Inpaint(CLIP),
        ValueError,
        "mask and seconds of Inpaint are both None; name what to paint: mask=[16, 16, 48, 48], or "
        "seconds=[0.5, 1.0]",
    ),
    "three sides": (
        lambda: mmdiff.Inpaint(CLIP, [1, 2, 3]),
        TypeError,
        "mask of Inpaint is [1, 2, 3]; a box is four whole numbers of pixels: "
        "[top, left, bottom, right], for instance [16, 16, 48, 48]",
    ),
    "empty box": (
        lambda: mmdiff.Inpaint(CLIP, [16, 0, 8, 8]),
        ValueError,
        "mask of Inpaint is the box [16, 0, 8, 8]; it must rise from top to bottom and from left "
        "to right: [8, 0, 16, 8]",
    ),
    "span": (
        lambda: mmdiff.Inpaint(CLIP, seconds=[1.0, 0.5]),
        ValueError,
        "seconds of Inpaint is [1.0, 0.5]; the first must come before the last: [0.5, 1.0]",
    ),
    "one second": (
        lambda: mmdiff.Inpaint(CLIP, seconds=[1.0]),
        TypeError,
        "seconds of Inpaint is [1.0]; it must be two numbers: [0.5, 1.0]",
    ),
}


@pytest.mark.parametrize("make, kind, message", CONSTRUCTED.values(), ids=CONSTRUCTED.keys())
def test_refused_when_it_is_made(make, kind, message):
    with pytest.raises(kind) as caught:
        make()
    assert str(caught.value) == message


def test_a_missing_file_and_the_one_that_was_meant(tmp_path):
    (tmp_path / "track.wav").write_bytes(b"")
    with pytest.raises(FileNotFoundError) as caught:
        mmdiff.GivenAudio(tmp_path / "trak.wav")
    path = tmp_path / "trak.wav"
    assert str(caught.value) == (
        f"clip of GivenAudio is {path}, and there is no such file: did you mean "
        f"{tmp_path / 'track.wav'}?"
    )


def test_a_damaged_file(tmp_path):
    (tmp_path / "cat.png").write_bytes(b"\x89PNG no")
    encode = PoolingEncode()
    condition = mmdiff.FirstFrame(tmp_path / "cat.png")
    with pytest.raises(ValueError, match=r"^image of FirstFrame: .*cat.png is damaged"):
        condition.apply(encode.state(), encode)


SILENT = Clip(frames=FRAMES)
BLIND = Clip(waveform=tone(17_000), sample_rate=16_000)
APPLIED = {
    "time outside": (
        lambda: [mmdiff.Keyframes({0: FRAMES[0], 3: FRAMES[1]})],
        "images of Keyframes names 3 s, outside of the clip, whose frames lie from 0 to 1 s: 1",
    ),
    "times too near": (
        lambda: [mmdiff.Keyframes({0.125: FRAMES[0], 0.25: FRAMES[1]})],
        "images of Keyframes at 0.125 s and 0.25 s fall into one latent frame; keep them at least "
        "0.25 s apart",
    ),
    "sound outside": (
        lambda: [mmdiff.GivenAudio(tone(8000), start_seconds=5)],
        "clip of GivenAudio lies from 5 s to 5.5 s, outside of the clip, which lies from 0 to "
        "1.0625 s: start_seconds=0 begins with it",
    ),
    "too little sound": (
        lambda: [mmdiff.GivenAudio(tone(500), start_seconds=0.5)],
        "clip of GivenAudio is inside the clip for 500 samples only, from which no token of audio "
        "follows; give more of it, or another start_seconds",
    ),
    "too few frames": (
        lambda: [mmdiff.GivenVideo(FRAMES[:9])],
        "clip of GivenVideo has 9 frames at the model's rate, and the clip has num_frames 17; make "
        "num_frames at most 9, or give Extend instead",
    ),
    "no sound": (
        lambda: [mmdiff.GivenAudio(SILENT)],
        "clip of GivenAudio has video and no audio; give a clip with audio",
    ),
    "no picture": (
        lambda: [mmdiff.GivenVideo(BLIND)],
        "clip of GivenVideo has audio and no video; give a clip with video",
    ),
    "no picture to begin with": (
        lambda: [mmdiff.FirstFrame(BLIND)],
        "image of FirstFrame has audio and no video; give an image",
    ),
    "wrong image": (
        lambda: [mmdiff.FirstFrame(torch.zeros(3, 32, 32))],
        "image of FirstFrame is torch.float32 of shape (3, 32, 32); it must be uint8 of "
        "(height, width, 3) or (frames, height, width, 3), 0 to 255",
    ),
    "mask of another size": (
        lambda: [mmdiff.Inpaint(CLIP, torch.ones(16, 32))],
        "mask of Inpaint is 1 frame of 32 x 16, and the clip is 17 frames of 32 x 32; the mask "
        "must be of that size, one image or as many",
    ),
    "mask of another length": (
        lambda: [mmdiff.Inpaint(CLIP, torch.ones(5, 32, 32))],
        "mask of Inpaint is 5 frames of 32 x 32, and the clip is 17 frames of 32 x 32; the mask "
        "must be of that size, one image or as many",
    ),
    "box outside": (
        lambda: [mmdiff.Inpaint(CLIP, [16, 16, 48, 48])],
        "mask of Inpaint is the box [16, 16, 48, 48], and the clip is 32 x 32; it must lie inside: "
        "[16, 16, 32, 32]",
    ),
    "span outside": (
        lambda: [mmdiff.Inpaint(CLIP, seconds=[0.5, 2.0])],
        "seconds of Inpaint is [0.5, 2.0]; the clip lasts 1.0625 s: [0.5, 1.0625]",
    ),
    "extend into too little": (
        lambda: [mmdiff.Extend(FRAMES[:9], after_seconds=1)],
        "num_frames is 17, and Extend makes 25 of 9 given ones; leave num_frames out, or make it "
        "25",
    ),
    "two first frames": (
        lambda: [mmdiff.FirstFrame(FRAMES[0]), mmdiff.FirstFrame(moving_frames(1, seed=3)[0])],
        "conditions[0] (FirstFrame) and conditions[1] (FirstFrame) contradict each other: they "
        "give different video to the same tokens; leave one out, or give them other times",
    ),
    "two sounds": (
        lambda: [mmdiff.GivenAudio(CLIP), mmdiff.GivenAudio(torch.zeros(1, 17_000))],
        "conditions[0] (GivenAudio) and conditions[1] (GivenAudio) contradict each other: they "
        "give different audio to the same tokens; leave one out, or give them other times",
    ),
    "two clips to begin from": (
        lambda: [
            mmdiff.PartialNoise(SILENT, 0.5),
            mmdiff.PartialNoise(moving_frames(seed=3), 0.7),
        ],
        "conditions[0] (PartialNoise) and conditions[1] (PartialNoise) contradict each other: they "
        "give different video to the same tokens; leave one out, or give them other times",
    ),
}


@pytest.mark.parametrize("make, message", APPLIED.values(), ids=APPLIED.keys())
def test_refused_when_it_is_applied(make, message):
    encode = PoolingEncode()
    with pytest.raises(ValueError) as caught:
        composed(make(), encode.state(), encode)
    assert str(caught.value) == message


def test_a_modality_that_is_not_made():
    encode = PoolingEncode()
    state = encode.state()
    only_picture = type(state)(state.latents.replace("audio", None))
    with pytest.raises(ValueError) as caught:
        composed([mmdiff.GivenAudio(CLIP)], only_picture, encode)
    assert str(caught.value) == (
        "modalities is ('video',), and GivenAudio gives audio; add 'audio' to modalities, or leave "
        "GivenAudio out"
    )


NOTICES = {
    "size": (
        lambda: mmdiff.FirstFrame(moving_frames(1, 64, 48)[0]),
        "image of FirstFrame is 48 x 64; it is scaled and cut to 32 x 32",
    ),
    "rate": (
        lambda: mmdiff.GivenVideo(Clip(frames=moving_frames(40), fps=32)),
        "clip of GivenVideo has 32 frames a second; it is shown at the model's 16",
    ),
    "length": (
        lambda: mmdiff.GivenVideo(moving_frames(20)),
        "clip of GivenVideo has 20 frames; the first 17 are used",
    ),
    "sample rate": (
        lambda: mmdiff.GivenAudio(tone(8500, sample_rate=8000), sample_rate=8000),
        "clip of GivenAudio has 8000 samples a second; it is resampled to the model's 16000",
    ),
    "channels": (
        lambda: mmdiff.GivenAudio(tone(17_000).expand(2, -1)),
        "clip of GivenAudio has 2 channels; they are mixed into one",
    ),
    "long sound": (
        lambda: mmdiff.GivenAudio(tone(20_000)),
        "clip of GivenAudio ends at 1.25 s; it is cut where the clip ends",
    ),
    "sound almost as long": (
        lambda: mmdiff.GivenAudio(tone(16_000)),
        "clip of GivenAudio ends at 1 s; silence follows up to the end of the clip",
    ),
    "short sound": (
        lambda: mmdiff.GivenAudio(tone(8000)),
        "clip of GivenAudio ends at 0.5 s; the audio behind it is made",
    ),
}


@pytest.mark.parametrize("make, message", NOTICES.values(), ids=NOTICES.keys())
def test_nothing_is_fitted_in_silence(make, message):
    encode = PoolingEncode()
    with pytest.warns(UserWarning, match="^" + re.escape(message)):
        state = make().apply(encode.state(), encode)
    assert state.mask.modalities
