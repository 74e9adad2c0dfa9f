import io
import os
import time

import pytest
import torch

from mmdiff.media.clip import Clip
from mmdiff.media.reader import decode_clip
from mmdiff.media.rejection import Reason, RejectedMedia, Rejection
from tests.media.odd_files import OddFile, Truth

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


def _judged(file: OddFile, outcome: Clip | Rejection, psnr) -> list[str]:
    if isinstance(outcome, Rejection):
        is_named = outcome.file == str(file.path) and len(outcome.message.splitlines()) == 1
        if file.truth is not None or outcome.reason not in file.reasons:
            return [f"refused: {outcome.message}"]
        return [] if is_named else [f"message: {outcome.message!r}"]
    if file.truth is None:
        return [f"accepted, not {file.reasons}"]
    return _faults(outcome, file.truth, psnr)


def test_v1_every_odd_file_becomes_its_truth_or_a_reason(odd_corpus, psnr):
    assert len(odd_corpus) >= 60
    faults = {}
    for name, file in odd_corpus.items():
        start = time.process_time()
        found = _judged(file, decode_clip(file.path), psnr)
        if time.process_time() - start > 10:
            found.append("took more than 10 seconds of work")
        if found:
            faults[name] = found
    assert not faults


@pytest.mark.parametrize("seconds", [1, 30])
def test_v1_a_limit_refuses_what_the_whole_file_does(odd_corpus, seconds):
    """As training reads; only damage behind the limit is not met."""
    unseen = {"no_frames.mkv"} if seconds < 2 else set()
    for name, file in odd_corpus.items():
        outcome = decode_clip(file.path, at_most_seconds=seconds)
        if file.truth is not None:
            assert not isinstance(outcome, Rejection), outcome
            assert (outcome.frames is None) == (file.truth.frames is None)
        elif name not in unseen and not isinstance(outcome, Rejection):
            assert seconds < 2 and name in BEHIND_THE_LIMIT, name


BEHIND_THE_LIMIT = {"one_hour.mkv", "eight_hours.mkv", "noise_inside.mp4", "cut_90_sound.flac"}
FRACTIONS = (10, 50, 90, 95, 99, 99.9)


@pytest.mark.parametrize("seconds", [None, 2.5, 1])
def test_v1_a_cut_file_is_refused_or_intact(odd_corpus, seconds):
    """An index may be cut, not the pictures and not the sound."""
    names = [file.name for file in odd_corpus.values() if file.truth and "_" not in file.name]
    for name in names:
        if name.endswith((".mp3", ".png", ".jpg", ".bmp", ".webp")) or name == "streamed.wav":
            continue  # they do not state how long they are, or are images
        data = odd_corpus[name].path.read_bytes()
        truth = decode_clip(io.BytesIO(data), name=name, at_most_seconds=seconds)
        for percent in FRACTIONS:
            cut = io.BytesIO(data[: int(len(data) * percent / 100)])
            outcome = decode_clip(cut, name=name, at_most_seconds=seconds)
            if isinstance(outcome, Rejection):
                continue
            assert percent >= 95 or name == "tail.mp4" or seconds == 1, (name, percent)
            assert outcome.shape == truth.shape, (name, percent)
            assert outcome.num_samples == truth.num_samples, (name, percent)


def test_v1_a_stream_of_bytes_gives_what_the_file_gives(odd_corpus):
    for file in odd_corpus.values():
        if not os.path.isfile(file.path):  # False too for a name that is too long
            continue
        ours = decode_clip(io.BytesIO(file.path.read_bytes()), name=str(file.path))
        theirs = decode_clip(file.path)
        if isinstance(theirs, Rejection):
            assert ours == theirs
            continue
        assert ours.shape == theirs.shape
        for left, right in ((ours.frames, theirs.frames), (ours.waveform, theirs.waveform)):
            assert (left is None and right is None) or torch.equal(left, right)


def test_v1_reading_one_file_raises_where_the_gate_refuses(odd_corpus):
    for file in odd_corpus.values():
        if file.truth is not None:
            assert Clip.load(file.path).duration_seconds > 0
        elif file.reasons[0] in (Reason.MISSING, Reason.UNREADABLE):
            with pytest.raises(OSError):
                Clip.load(file.path)
        else:
            with pytest.raises(RejectedMedia) as caught:
                Clip.load(file.path)
            assert caught.value.rejection.reason in file.reasons


def test_v1_nothing_is_written_to_stderr(odd_corpus, capfd):
    for file in odd_corpus.values():
        decode_clip(file.path)
    assert capfd.readouterr().err == ""


def test_a_source_that_is_no_path_and_no_stream_is_a_type_error():
    with pytest.raises(TypeError, match="int"):
        decode_clip(3)
