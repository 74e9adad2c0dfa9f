"""Clips with sound and without in one folder: each batch is of one kind, or it is told at once."""

from fractions import Fraction
from itertools import islice
from pathlib import Path

import pytest
import torch
from PIL import Image

from mmdiff.data.bad_clips import TooManyBadFiles
from mmdiff.data.check.check_clips import check_clip
from mmdiff.data.check.report import DataReport
from mmdiff.data.clip_spec import ClipSpec
from mmdiff.data.clip_types import BOTH, PICTURE, SOUND, STILL, clip_types
from mmdiff.data.file_clips import FileClips
from mmdiff.data.file_data import SeveralData
from mmdiff.data.listed_clips import ListedClips
from mmdiff.data.loader import ResumableLoader
from mmdiff.media.clip import Clip
from mmdiff.media.rejection import Reason, Rejection
from tests.data.listed import Listed

SPEC = {"num_frames": 2, "height": 16, "width": 16, "frame_rate": 8, "sample_rate": 8000}
NAMES = [f"{kind}{index}.mp4" for index in range(4) for kind in ("both", "silent")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips with sound, four without, a sound, and what is no clip."""
    root: Path = tmp_path_factory.mktemp("kinds")
    draw = torch.Generator().manual_seed(0)
    for name in NAMES:
        frames = torch.randint(0, 256, (6, 16, 16, 3), generator=draw).to(torch.uint8)
        sound = 0.1 * torch.randn(1, 6000, generator=draw).clamp(-1, 1)
        silent = Clip(frames, Fraction(8))
        clip = Clip(frames, Fraction(8), sound, 8000) if name.startswith("both") else silent
        clip.save(root / name)
    Clip(waveform=sound, sample_rate=8000).save(root / "sound.wav")
    (root / "bad.mp4").write_bytes(b"not a clip at all, but long enough to be looked into")
    return root


def clips(folder: Path, names: list[str] = NAMES, **spec: str) -> ListedClips:
    return ListedClips(Listed(folder, names), ClipSpec(**SPEC, **spec))


def test_each_batch_is_of_one_kind_and_an_epoch_holds_all(folder: Path) -> None:
    dataset = FileClips(clips(folder), seed=1)
    loader = ResumableLoader(dataset, dataset.order(2, seed=3), num_workers=1, timeout_seconds=60)
    batches = list(islice(loader, 12))
    for batch in batches:
        assert batch.frames is not None and len(batch) == 2
        has_sound = {caption.startswith("both") for caption in batch.captions}
        assert has_sound == {batch.waveform is not None}
    seen = [number for batch in batches for number in batch.sample_ids if number < 8]
    assert sorted(seen) == list(range(8))
    assert dataset.modalities == {"video", "audio"}


def test_a_bad_clip_counts_to_the_frequent_kind_and_is_replaced_by_its_like(folder: Path) -> None:
    names = ["both0.mp4", "bad.mp4", "silent0.mp4", "both1.mp4"]
    dataset = FileClips(clips(folder, names), seed=1, max_bad_fraction=0.5)
    dataset.order(1, seed=3)
    assert dataset.types == [BOTH, BOTH, PICTURE, BOTH]
    keys = {dataset[1 + 4 * epoch][1].key for epoch in range(12)}
    assert keys == {"both0.mp4", "both1.mp4"}


def test_clips_alike_keep_the_order_that_they_had(folder: Path) -> None:
    names = [name for name in NAMES if name.startswith("both")]
    dataset = FileClips(clips(folder, names), seed=1)
    unasked = FileClips(clips(folder, names, audio="required", video="required"), seed=1)
    ours, theirs = dataset.order(2, seed=3), unasked.order(2, seed=3)
    assert list(islice(ours, 9)) == list(islice(theirs, 9))
    assert type(ours).__name__ == "EndlessOrder"
    assert torch.equal(dataset[2][1].frames, unasked[2][1].frames)


@pytest.mark.parametrize(
    "spec, kind",
    [({"audio": "ignored"}, PICTURE), ({"video": "ignored"}, SOUND)],
)
def test_where_the_spec_decides_no_file_is_opened(
    tmp_path: Path, spec: dict[str, str], kind: str
) -> None:
    assert clip_types(clips(tmp_path / "gone", **spec)) == [kind] * len(NAMES)


def test_pictures_alone_are_batched_whatever_has_sound(folder: Path) -> None:
    dataset = FileClips(clips(folder, audio="ignored", video="required"), seed=1)
    batch = next(iter(ResumableLoader(dataset, dataset.order(8, seed=3))))
    assert batch.waveform is None and len(batch.picture) == 8
    with pytest.raises(ValueError, match="no audio, and what is trained on them needs it: leave"):
        _ = batch.sound


def test_too_few_of_a_kind_are_told_before_the_first_batch(folder: Path) -> None:
    dataset = FileClips(clips(folder, [*NAMES, "sound.wav"]), seed=1)
    told = r"4 picture and sound, 4 picture, 1 sound\).* batch_size is 2.*audio=ignored.*at most 1"
    with pytest.raises(ValueError, match=told):
        dataset.order(2, seed=3)


@pytest.mark.parametrize("spec", [{}, {"audio": "ignored"}], ids=["looked into", "not opened"])
def test_stills_are_clips_of_one_frame_in_a_bucket_of_their_own(
    folder: Path, spec: dict[str, str]
) -> None:
    names = [*(name for name in NAMES if name.startswith("silent")), *_stills(folder, 4)]
    dataset = FileClips(clips(folder, names, **spec), seed=1)
    order = dataset.order(2, seed=3)
    assert dataset.types == [PICTURE] * 4 + [STILL] * 4
    assert dataset.modalities == {"video"}
    batches = list(islice(ResumableLoader(dataset, order), 8))
    for batch in batches:
        assert batch.waveform is None
        are_stills = {caption.startswith("still") for caption in batch.captions}
        assert are_stills == {batch.picture.shape[1] == 1}
    seen = [number for batch in batches for number in batch.sample_ids if number < 8]
    assert sorted(seen) == list(range(8))


@pytest.mark.parametrize(
    "spec, reason",
    [
        ({"stills": "dropped"}, Reason.TOO_SHORT),
        ({"audio": "required"}, Reason.NO_SOUND),
        ({"video": "ignored"}, Reason.NO_SOUND),
    ],
)
def test_stills_that_cannot_be_used_are_told(
    folder: Path, spec: dict[str, str], reason: Reason
) -> None:
    outcome = clips(folder, _stills(folder, 1), **spec)[0]
    assert isinstance(outcome, Rejection) and outcome.reason == reason


def test_clips_without_the_half_that_is_asked_for_are_left_out_and_are_not_bad(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Four of eight are silent: ten times what may be bad."""
    asked = clips(folder, audio="required", video="required")
    dataset = FileClips(asked, seed=1, max_bad_fraction=0.05)
    for batch in islice(ResumableLoader(dataset, dataset.order(2, seed=3)), 8):
        assert all(caption.startswith("both") for caption in batch.captions)
    assert "4 of 8 clips are left out so far (50.00 %)" in caplog.text and "no_sound" in caplog.text
    report = DataReport(tuple(check_clip(asked, index) for index in range(len(asked))))
    assert (report.count("dropped"), report.bad_fraction, report.is_good) == (4, 0.0, True)


@pytest.mark.parametrize(
    "names, told",
    [
        ([name for name in NAMES if "silent" in name], "4 of 4 clips are bad"),
        ([*NAMES, "bad.mp4"], "1 of 9 clips are bad"),
    ],
)
def test_where_none_is_left_or_others_are_bad_it_is_told(
    folder: Path, names: list[str], told: str
) -> None:
    asked = clips(folder, names, audio="required", video="required")
    dataset = FileClips(asked, seed=1, max_bad_fraction=0.05)
    loader = ResumableLoader(dataset, dataset.order(1, seed=3))
    with pytest.raises(TooManyBadFiles, match=told):
        list(islice(loader, 9))


def _stills(folder: Path, count: int) -> list[str]:
    names = [f"still{index}.png" for index in range(count)]
    for index, name in enumerate(names):
        Image.new("RGB", (16, 16), (9 * index, 50, 90)).save(folder / name)
    return names


def test_weights_hold_over_kinds(folder: Path) -> None:
    sources = {"a": Listed(folder, NAMES[:6]), "b": Listed(folder, ["both3.mp4"])}
    weights = {"a": 1.0, "b": 3.0}
    spec = ClipSpec(**SPEC)
    data = SeveralData(sources=sources, weights=weights, seed=0, batch_size=1, spec=spec)
    order = data.order(rank=0, world_size=1)
    drawn = [number % 7 for numbers in islice(order, 1000) for number in numbers]
    assert drawn.count(6) / len(drawn) == pytest.approx(0.75, abs=0.04)
