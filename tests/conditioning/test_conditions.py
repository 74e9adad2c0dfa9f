"""What each condition gives, where, and at which strength, by an encoder to check by hand."""

import pytest
import torch
from PIL import Image

import mmdiff
from mmdiff.conditioning.condition import composed
from mmdiff.media.clip import Clip
from mmdiff.values.latents import ClipLatents
from tests.conditioning.pooling import PoolingEncode, moving_frames, tone

FRAMES = moving_frames()
SOUND = tone(17_000)
CLIP = Clip(frames=FRAMES, waveform=SOUND, sample_rate=16_000)


@pytest.fixture
def encode():
    return PoolingEncode()


def given(condition, encode):
    return condition.apply(encode.state(), encode)


def blank(encode):
    shape = encode.shape
    return ClipLatents(
        torch.full((1, 3, shape.num_frames, shape.height, shape.width), -0.5),
        torch.zeros(1, 1, shape.num_samples),
    )


def pixels(media):
    return ((media.video[0].movedim(0, -1) + 1) * 127.5).round().to(torch.uint8)


@pytest.mark.parametrize("kind", ["array", "tensor", "pil", "clip", "path"])
def test_first_frame_takes_an_image_in_any_form(encode, tmp_path, kind):
    Image.fromarray(FRAMES[0].numpy()).save(tmp_path / "cat.png")
    image = {
        "array": FRAMES[0].numpy(),
        "tensor": FRAMES[0],
        "pil": Image.fromarray(FRAMES[0].numpy()),
        "clip": CLIP,
        "path": tmp_path / "cat.png",
    }[kind]
    state = given(mmdiff.FirstFrame(image), encode)
    assert torch.equal(state.given.video[:, :, :1], encode.video(FRAMES[:1]))
    assert state.mask.video[0, 0, :, 0, 0].tolist() == [1, 0, 0, 0, 0]
    assert state.mask.modalities == ("video",)


def test_keyframes_are_exact_at_first_and_firm_to_a_degree_later(encode):
    images = {0: FRAMES[0], 0.5: FRAMES[8], 1: FRAMES[16]}
    state = given(mmdiff.Keyframes(images, strength=0.25), encode)
    # frames 0, 8 and 16 are the last of latent frames 0, 2 and 4
    assert state.mask.video[0, 0, :, 0, 0].tolist() == [1, 0, 0.25, 0, 0.25]
    for index, frame in ((0, 0), (2, 8), (4, 16)):
        still = encode.video(FRAMES[frame : frame + 1])
        assert torch.allclose(state.given.video[:, :, index : index + 1], still, atol=1e-6)


def test_given_modalities_are_given_whole(encode):
    state = composed([mmdiff.GivenVideo(CLIP), mmdiff.GivenAudio(CLIP)], encode.state(), encode)
    assert bool((state.mask.video == 1).all()) and bool((state.mask.audio == 1).all())
    held = state.hold(state.latents)
    assert torch.equal(held.video, encode.video(FRAMES))
    assert torch.equal(held.audio, encode.audio(SOUND))


def test_partial_noise_knows_the_clip_up_to_its_strength(encode):
    state = given(mmdiff.PartialNoise(CLIP, 0.4), encode)
    for name in ("video", "audio"):
        assert torch.allclose(state.mask.get(name), torch.tensor(0.6))
        assert torch.allclose(
            state.time(ClipLatents(torch.ones(1, 1, 1, 1, 1), torch.ones(1, 1, 1, 1))).get(name),
            torch.tensor(0.4),
        )
    only_sound = given(mmdiff.PartialNoise(Clip(waveform=SOUND, sample_rate=16_000), 0.4), encode)
    assert only_sound.mask.modalities == ("audio",)
    assert given(mmdiff.PartialNoise(CLIP, 1), encode).mask.modalities == ()


def test_a_box_frees_the_sites_under_it_and_half_of_those_beside(encode):
    state = given(mmdiff.Inpaint(CLIP, [9, 16, 15, 24]), encode)  # inside site (1, 2)
    expected = torch.ones(4, 4)
    expected[0:3, 1:4] = 0.5
    expected[1, 2] = 0
    assert torch.equal(state.mask.video[0, 0, 3], expected)
    assert bool((state.mask.audio == 1).all())  # its sound stays
    free = given(mmdiff.Inpaint(CLIP, [9, 16, 15, 24], outside=True, edge_strength=0), encode)
    assert not bool(free.mask.video.any())  # no site lies wholly in the box


@pytest.mark.parametrize("kind", ["array", "bool", "pil", "path", "video"])
def test_masks_of_any_form_equal_the_box(encode, tmp_path, kind):
    white = torch.zeros(32, 32, dtype=torch.uint8)
    white[8:24, 8:16] = 255
    Image.fromarray(white.numpy()).save(tmp_path / "mask.png")
    mask = {
        "array": white.numpy(),
        "bool": white > 0,
        "pil": Image.fromarray(white.numpy()),
        "path": str(tmp_path / "mask.png"),
        "video": Clip(frames=white[None, :, :, None].expand(17, -1, -1, 3).contiguous()),
    }[kind]
    box = given(mmdiff.Inpaint(CLIP, (8, 8, 24, 16)), encode)
    assert torch.equal(given(mmdiff.Inpaint(CLIP, mask), encode).mask.video, box.mask.video)


def test_a_mask_video_frees_each_frame_by_itself(encode):
    mask = torch.zeros(17, 32, 32, dtype=torch.bool)
    mask[5, :8, :8] = True  # frame 5 is the first of latent frame 2
    found = given(mmdiff.Inpaint(CLIP, mask, edge_strength=1), encode).mask.video[0, 0]
    assert (found == 0).nonzero().tolist() == [[2, 0, 0]]


def test_a_stretch_of_sound_is_freed_with_the_tokens_beside_it(encode):
    state = given(mmdiff.Inpaint(CLIP, seconds=(0.5, 0.75)), encode)
    # token j holds samples 1000 j - 3000 on: 8000 to 12000 are tokens 11 to 14, two more each side
    assert (state.mask.audio[0, 0, :, 0] == 0).nonzero().flatten().tolist() == list(range(9, 17))
    assert bool((state.mask.video == 1).all())  # its picture stays


@pytest.mark.parametrize("before, after", [(0.5, 0), (0, 0.5), (0.25, 0.25)])
def test_extend_gives_the_latent_frames_that_it_covers(encode, before, after):
    clip = Clip(frames=FRAMES[:9], waveform=SOUND[:, :9000], sample_rate=16_000)
    extend = mmdiff.Extend(clip, before_seconds=before, after_seconds=after)
    state = given(extend, encode)
    first = round(before * 16)
    covered = [k for k in range(5) if first <= max(0, 4 * k - 3) and 4 * k < first + 9]
    assert state.mask.video[0, 0, :, 0, 0].nonzero().flatten().tolist() == covered
    restored = extend.restore(blank(encode), encode)
    assert torch.equal(pixels(restored)[first : first + 9], FRAMES[:9])
    assert torch.equal(restored.audio[0, :, first * 1000 : (first + 9) * 1000], SOUND[:, :9000])
    assert bool((pixels(restored)[:first] == 64).all())


def test_what_is_kept_exactly_comes_back_exactly(encode):
    start = blank(encode)
    cases = [
        (mmdiff.FirstFrame(FRAMES[0], keep_exact=True), slice(0, 1)),
        (mmdiff.Keyframes({0.25: FRAMES[4]}, keep_exact=True), slice(4, 5)),
        (mmdiff.GivenVideo(CLIP), slice(0, 17)),
    ]
    for condition, where in cases:
        found = pixels(condition.restore(start, encode))
        assert torch.equal(found[where], FRAMES[where])
        untouched = torch.ones(17, dtype=torch.bool)
        untouched[where] = False
        assert bool((found[untouched] == 64).all())
    painted = pixels(mmdiff.Inpaint(CLIP, [8, 8, 16, 16], keep_exact=True).restore(start, encode))
    assert bool((painted[:, 8:16, 8:16] == 64).all())
    painted[:, 8:16, 8:16] = FRAMES[:, 8:16, 8:16]
    assert torch.equal(painted, FRAMES)
    heard = (
        mmdiff.Inpaint(CLIP, seconds=(0.5, 0.75), keep_exact=True).restore(start, encode).audio[0]
    )
    assert torch.equal(heard[:, :8000], SOUND[:, :8000])
    assert torch.equal(heard[:, 12_000:], SOUND[:, 12_000:])
    assert bool((heard[:, 9000:11_000] == 0).all())
    for kind in (mmdiff.FirstFrame(FRAMES[0]), mmdiff.PartialNoise(CLIP, 0.5)):
        assert kind.restore(start, encode) is start


def test_order_does_not_matter_where_conditions_do_not_meet(encode):
    parts = [
        mmdiff.FirstFrame(FRAMES[0]),
        mmdiff.GivenAudio(CLIP),
        mmdiff.Keyframes({1: FRAMES[16]}),
    ]
    one, other = (composed(order, encode.state(), encode) for order in (parts, parts[::-1]))
    for name in ("video", "audio"):
        assert torch.equal(one.mask.get(name), other.mask.get(name))
        given_tokens = one.mask.get(name) > 0
        assert torch.equal(one.given.get(name) * given_tokens, other.given.get(name) * given_tokens)


def test_what_is_exact_goes_before_what_is_partial_in_any_order(encode):
    parts = [mmdiff.FirstFrame(moving_frames(1, seed=5)), mmdiff.PartialNoise(CLIP, 0.5)]
    one, other = (composed(order, encode.state(), encode) for order in (parts, parts[::-1]))
    assert torch.equal(one.given.video, other.given.video)
    assert torch.equal(one.given.video[:, :, :1], encode.video(moving_frames(1, seed=5)))


def test_saying_the_same_twice_is_no_contradiction(encode):
    composed([mmdiff.FirstFrame(FRAMES[0]), mmdiff.GivenVideo(CLIP)], encode.state(), encode)


def test_the_length_follows_what_is_given(encode):
    grid = encode.grid
    longer = Clip(frames=moving_frames(20), waveform=tone(20_000), sample_rate=16_000)
    assert mmdiff.GivenVideo(longer).video_frames(grid) == 17
    assert mmdiff.GivenAudio(longer).audio_frames(grid) == 21
    assert mmdiff.GivenAudio(tone(1000)).audio_frames(grid) == 5
    assert mmdiff.FirstFrame(FRAMES[0]).video_frames(grid) is None


def test_settings_are_plain_and_say_what_was_given():
    assert mmdiff.FirstFrame(FRAMES[0]).settings() == {
        "condition": "FirstFrame",
        "image": "an array of (32, 32, 3)",
        "keep_exact": False,
    }
    assert mmdiff.PartialNoise(CLIP, 0.5).settings() == {
        "condition": "PartialNoise",
        "clip": "a clip of 17 frames and 17000 samples",
        "strength": 0.5,
    }
