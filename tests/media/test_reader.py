"""V1: the gate. Every file of the corpus becomes its truth or a reason, in any process."""

import io
import multiprocessing
import os
import random
import time

import pytest
import torch

from mmdiff.media.clip import Clip
from mmdiff.media.reader import decode_clip
from mmdiff.media.rejection import Reason, RejectedMedia, Rejection
from tests.media.corpus import CorpusFile, Truth
from tests.media.gate_worker import decode_many, fingerprint, fingerprint_then_leave

LOWEST_PSNR = 30
LOWEST_SOUND_RATIO = 15  # dB; a click after silence costs AAC most


def _ratio(truth: torch.Tensor, ours: torch.Tensor) -> float:
    noise = (truth - ours).square().sum().clamp_min(1e-12)
    return float(10 * torch.log10(truth.square().sum() / noise))


def _faults(clip: Clip, truth: Truth, psnr) -> list[str]:
    """What differs between a decoded clip and the truth."""
    faults = []
    if (clip.frames is None) != (truth.frames is None):
        faults.append(f"has picture: {clip.frames is not None}")
    if (clip.waveform is None) != (truth.waveform is None):
        faults.append(f"has sound: {clip.waveform is not None}")
    if clip.frames is not None and truth.frames is not None:
        theirs = torch.from_numpy(truth.frames.copy())
        if clip.frames.shape != theirs.shape or clip.fps != truth.fps:
            faults.append(f"{tuple(clip.frames.shape)} at {clip.fps}, not {tuple(theirs.shape)}")
        elif psnr(clip.frames, theirs) < LOWEST_PSNR:
            faults.append(f"frames differ: {psnr(clip.frames, theirs):.1f} dB")
    if clip.waveform is not None and truth.waveform is not None:
        theirs = torch.from_numpy(truth.waveform.copy())
        length = theirs.shape[1]
        surplus = clip.num_samples - length
        if clip.sample_rate != truth.sample_rate or not -64 <= surplus < 2048:
            faults.append(f"{clip.num_samples} samples at {clip.sample_rate}, not {length}")
        elif clip.waveform.shape[0] != theirs.shape[0]:
            faults.append(f"{clip.waveform.shape[0]} channels")
        else:
            shared = min(length, clip.num_samples)
            ratio = _ratio(theirs[:, :shared], clip.waveform[:, :shared])
            if ratio < LOWEST_SOUND_RATIO:
                faults.append(f"sound differs: {ratio:.1f} dB")
    return faults


def _faults_of(file: CorpusFile, outcome: Clip | Rejection, psnr) -> list[str]:
    if isinstance(outcome, Rejection):
        is_named = outcome.file == str(file.path) and len(outcome.message.splitlines()) == 1
        if file.truth is not None or outcome.reason not in file.reasons:
            return [f"refused: {outcome.message}"]
        return [] if is_named else [f"message: {outcome.message!r}"]
    if file.truth is None:
        return [f"accepted, not {file.reasons}"]
    return _faults(outcome, file.truth, psnr)


def test_v1_every_file_becomes_its_truth_or_a_reason(corpus, psnr, capfd):
    assert len(corpus) >= 60
    faults = {}
    for name, file in corpus.items():
        start = time.process_time()
        found = _faults_of(file, decode_clip(file.path), psnr)
        if time.process_time() - start > 10:
            found.append("took more than 10 seconds of work")
        if found:
            faults[name] = found
    assert not faults
    assert capfd.readouterr().err == ""


# Read up to one second: the damage lies behind it, or in what the header claims of the rest.
BEHIND_THE_LIMIT = {"one_hour.mkv", "eight_hours.mkv", "noise_inside.mp4", "cut_90_sound.flac"}


@pytest.mark.parametrize("seconds", [1, 30])
def test_v1_a_limit_refuses_what_the_whole_file_does(corpus, seconds):
    """As training reads; only damage behind the limit is not met."""
    unseen = {"no_frames.mkv"} if seconds < 2 else set()
    for name, file in corpus.items():
        outcome = decode_clip(file.path, at_most_seconds=seconds)
        if file.truth is not None:
            assert not isinstance(outcome, Rejection), outcome
            assert (outcome.frames is None) == (file.truth.frames is None)
        elif name not in unseen and not isinstance(outcome, Rejection):
            assert seconds < 2 and name in BEHIND_THE_LIMIT, name


@pytest.mark.parametrize("seconds", [None, 1])
def test_v1_a_cut_file_is_refused(corpus, seconds):
    """All that state how long they are."""
    names = [file.name for file in corpus.values() if file.truth and "_" not in file.name]
    unstated = (".mp3", ".png", ".jpg", ".bmp", ".webp")
    for name in names:
        if name.endswith(unstated) or name in ("streamed.wav", "tail.mp4"):
            continue
        data = corpus[name].path.read_bytes()
        for percent in (10, 50, 90, 95, 99, 99.9):
            cut = io.BytesIO(data[: int(len(data) * percent / 100)])
            outcome = decode_clip(cut, name=name, at_most_seconds=seconds)
            if isinstance(outcome, Rejection):
                continue
            # the last box of a fragmented mp4 is an index; a FLAC states a length, and no bytes
            assert name == "fragments.mp4" or (name == "sound.flac" and seconds), (name, percent)


def test_v1_a_stream_of_bytes_gives_what_the_file_gives(corpus):
    for name in ("plain.mp4", "plain.mkv", "image.png", "cut_50_plain.avi", "random.mp4"):
        path = corpus[name].path
        ours = decode_clip(io.BytesIO(path.read_bytes()), name=str(path))
        theirs = decode_clip(path)
        if isinstance(theirs, Rejection):
            assert ours == theirs
            continue
        assert torch.equal(ours.frames, theirs.frames)
        assert ours.waveform is None or torch.equal(ours.waveform, theirs.waveform)


def test_v1_reading_one_file_raises_where_the_gate_refuses(corpus):
    for file in corpus.values():
        if file.truth is not None:
            continue
        if file.reasons[0] in (Reason.MISSING, Reason.UNREADABLE):
            with pytest.raises(OSError):
                Clip.load(file.path)
        else:
            with pytest.raises(RejectedMedia) as caught:
                Clip.load(file.path)
            assert caught.value.rejection.reason in file.reasons


def test_v2_flipped_bits_are_counted_and_never_an_error_of_ours(corpus, capfd):
    """A sha256 in the list finds all of them (tests/data); without one, some decode to another
    legal picture or sound."""
    chance, num_refused = random.Random(0), 0
    for name in ("plain.mp4", "bidirectional.mkv", "h264.avi", "vp9.webm", "sound.flac"):
        content = corpus[name].path.read_bytes()
        for count in (1,) * 40 + (20,) * 20:
            flipped = bytearray(content)
            for _ in range(count):
                flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
            outcome = decode_clip(io.BytesIO(bytes(flipped)), name=name)
            assert isinstance(outcome, (Clip, Rejection))
            num_refused += isinstance(outcome, Rejection)
    assert num_refused > 80
    assert capfd.readouterr().err == ""


def test_a_source_that_is_no_path_and_no_stream_is_a_type_error():
    with pytest.raises(TypeError, match="int"):
        decode_clip(3)


def test_a_missing_file_says_which_one_was_meant(corpus):
    path = corpus["plain.mp4"].path
    outcome = decode_clip(path.with_name("plian.mp4"))
    assert isinstance(outcome, Rejection)
    assert f"did you mean {path}?" in outcome.message


@pytest.fixture(scope="module")
def some_paths(corpus):
    names = ("plain.mp4", "vp9.webm", "cut_50_plain.mkv", "plain.avi", "sound.mp3", "random.mp4")
    return [corpus[name].path for name in names]


@pytest.mark.parametrize(
    "num_workers, count", [(1, 200), pytest.param(4, 2000, marks=pytest.mark.slow)]
)
def test_v11_memory_stays_constant(some_paths, num_workers, count):
    """Of all workers at the end, against that after their first quarter."""
    with multiprocessing.get_context("spawn").Pool(num_workers) as pool:
        shares = [(some_paths, count // num_workers)] * num_workers
        readings = pool.starmap(decode_many, shares, chunksize=1)
    early, late = (sum(column) for column in zip(*readings, strict=True))
    assert late / early <= 1.05


def test_forked_and_spawned_workers_decode_the_same_bytes(some_paths, tmp_path):
    ours = [fingerprint(path) for path in some_paths]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(fingerprint, some_paths) == ours
    torch.rand(512, 512) @ torch.rand(512, 512)  # threads that a fork does not take along
    answer = tmp_path / "answer"
    child = multiprocessing.get_context("fork").Process(
        target=fingerprint_then_leave, args=(os.fspath(some_paths[0]), os.fspath(answer))
    )
    child.start()
    child.join(timeout=60)
    assert child.exitcode == 0
    assert answer.read_text() == ours[0]
