import io
import random
from collections import Counter

import pytest
import torch

from mmdiff.media.reader import decode_clip
from mmdiff.media.rejection import Rejection
from tests.media.odd_files import pings, scene, write_media

NUM_FLIPS = 300
SAMPLES_OF_A_FRAME = 1024
LOWEST_PSNR = 35  # a flip in a timestamp may show one frame twice


@pytest.fixture(scope="module")
def detailed() -> bytes:
    """Nearly all of it is picture, in few slices."""
    file = io.BytesIO()
    frames = scene(32, height=96, width=128)
    frames[:, ::3, ::5] ^= 31
    write_media(file, frames=frames, waves=(pings(),), container="mp4")
    return file.getvalue()


def _flipped(intact: bytes, chance: random.Random, count: int = 1) -> io.BytesIO:
    flipped = bytearray(intact)
    for _ in range(count):
        flipped[chance.randrange(len(intact))] ^= 1 << chance.randrange(8)
    return io.BytesIO(bytes(flipped))


def _counts(intact: bytes, psnr, *, seed: int = 0, **span) -> Counter[str]:
    """Of what became of the flips: refused, garbled (picture, or a half that is gone), altered
    (three frames of sound at most), moved (more of it), alike."""
    truth = decode_clip(io.BytesIO(intact), name="intact.mp4", **span)
    chance = random.Random(seed)
    counts: Counter[str] = Counter()
    for _ in range(NUM_FLIPS):
        outcome = decode_clip(_flipped(intact, chance), name="flipped.mp4", **span)
        if isinstance(outcome, Rejection):
            counts["refused"] += 1
        elif (
            (outcome.shape, outcome.fps) != (truth.shape, truth.fps)
            or psnr(outcome.frames, truth.frames) < LOWEST_PSNR
            or outcome.waveform is None
            or outcome.waveform.shape != truth.waveform.shape
        ):
            counts["garbled"] += 1
        elif not torch.allclose(outcome.waveform, truth.waveform, atol=0.02):
            differs = (outcome.waveform - truth.waveform).abs() > 0.02
            counts["altered" if differs.sum() < 3 * SAMPLES_OF_A_FRAME else "moved"] += 1
        else:
            counts["alike"] += 1
    return counts


# Of 3,000 flips 5 pass: in slices of H.264, which have no checksum. And now and then one in the
# number of the edit list that says when the sound begins, or one that makes a spike of sound over
# full scale. No decoder can tell; a sha256 in the list does (tests/data).
MOST_GARBLED, MOST_MOVED = 2, 2


@pytest.mark.parametrize(
    "span", [{}, {"at_most_seconds": 33 / 16 + 0.5}, {"at_most_seconds": 1}], ids=str
)
@pytest.mark.parametrize("seed", range(3))
def test_v2_no_flipped_bit_but_of_a_slice_gives_silent_garbage(
    small_clip, psnr, tmp_path, seed, span
):
    """AAC has no checksum: a flipped bit may change a frame of 64 ms and stay legal. So a changed
    sound is bounded and counted, where a changed picture is refused. A limit on what is read, as
    training sets one, weakens nothing."""
    small_clip(33).save(tmp_path / "good.mp4")
    counts = _counts((tmp_path / "good.mp4").read_bytes(), psnr, seed=seed, **span)
    assert counts["garbled"] <= MOST_GARBLED
    assert counts["moved"] <= MOST_MOVED
    assert counts["altered"] <= NUM_FLIPS * 0.04
    assert counts["alike"] > NUM_FLIPS / 3  # what a flip does not harm is not refused


@pytest.mark.parametrize("span", [{}, {"at_most_seconds": 2.5}, {"at_most_seconds": 1}], ids=str)
@pytest.mark.parametrize(
    "name", ["plain.mp4", "plain.mov", "bidirectional.mkv", "h264.avi", "fragments.mp4"]
)
def test_v1_twenty_flipped_bits_never_cost_a_half(odd_corpus, name, span):
    intact = odd_corpus[name].path.read_bytes()
    chance, num_refused = random.Random(1), 0
    for _ in range(60):
        outcome = decode_clip(_flipped(intact, chance, 20), name=name, **span)
        if isinstance(outcome, Rejection):
            num_refused += 1
            continue
        assert outcome.frames is not None
        assert outcome.waveform is not None
    assert num_refused > 20


@pytest.mark.parametrize("span", [{}, {"at_most_seconds": 2.5}], ids=str)
@pytest.mark.parametrize("name", ["plain.mkv", "bidirectional.mkv", "lossless.mkv"])
def test_v2_a_matroska_with_checksums_lets_nothing_through(odd_corpus, name, span):
    """FFmpeg writes a CRC-32 into each of its elements, and does not look at them."""
    intact = odd_corpus[name].path.read_bytes()
    truth = decode_clip(io.BytesIO(intact), name=name, **span)
    chance = random.Random(2)
    for _ in range(60):
        outcome = decode_clip(_flipped(intact, chance), name=name, **span)
        if not isinstance(outcome, Rejection):  # in what stands in front of the elements
            assert torch.equal(outcome.frames, truth.frames)
            assert torch.equal(outcome.waveform, truth.waveform)


@pytest.mark.parametrize("name, kind", [("h264.avi", b"vids"), ("h264.avi", b"auds")])
@pytest.mark.parametrize("limit", [None, 1])
def test_v1_a_stream_that_cannot_be_recognized_is_damage(odd_corpus, name, kind, limit):
    data = odd_corpus[name].path.read_bytes().replace(kind, b"\0" + kind[1:], 1)
    outcome = decode_clip(io.BytesIO(data), name=name, at_most_seconds=limit)
    assert isinstance(outcome, Rejection)
    assert "damaged" in outcome.message


@pytest.mark.parametrize("box", [b"hdlr", b"mdia", b"minf", b"stbl", b"trak", b"tkhd", b"mdhd"])
@pytest.mark.parametrize("limit", [None, 1])
def test_v1_a_damaged_index_does_not_cost_a_track(odd_corpus, box, limit):
    """Each bit of the name and the size of a box, of both tracks."""
    data = odd_corpus["plain.mp4"].path.read_bytes()
    for place in [data.find(box), data.rfind(box)]:
        for bit in range(64):
            flipped = bytearray(data)
            flipped[place - 4 + bit // 8] ^= 1 << bit % 8
            outcome = decode_clip(io.BytesIO(bytes(flipped)), name="x.mp4", at_most_seconds=limit)
            if not isinstance(outcome, Rejection):
                assert outcome.frames is not None
                assert outcome.waveform is not None


def test_v2_flips_that_h264_cannot_see_are_few(detailed, psnr):
    """Nor has H.264 a checksum: where all bits of a slice are picture, some flips decode to another
    legal picture. No decoder can tell; a sha256 in the list does (tests/data)."""
    counts = _counts(detailed, psnr)
    assert counts["garbled"] <= NUM_FLIPS * 0.05
    assert counts["refused"] > NUM_FLIPS / 2
