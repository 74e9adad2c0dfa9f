"""Samples from files: chance is a function of (seed, number), and nothing bad goes unsaid."""

import hashlib
import logging
import multiprocessing
import os
import signal
import time
from fractions import Fraction
from itertools import islice

import pytest
import torch

from mmdiff.data.bad_clips import TooManyBadFiles
from mmdiff.data.clip_spec import ClipSpec
from mmdiff.data.datamodule import DataModule
from mmdiff.data.file_clips import FileClips
from mmdiff.data.file_data import SeveralData
from mmdiff.data.fit_clip import fit_clip
from mmdiff.data.listed_clips import ListedClips
from mmdiff.data.loader import ResumableLoader
from mmdiff.data.order import EndlessOrder
from mmdiff.data.sources.listing import ClipEntry, Listing
from mmdiff.data.worker_status import ReadingFailed
from mmdiff.media.clip import Clip
from mmdiff.media.rejection import Reason
from mmdiff.values.sample import SampleFacts
from tests.data.listed import Listed

SPEC = ClipSpec(2, 16, 16, frame_rate=8, sample_rate=8000, crop="random", span="random")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four good clips g0..g3 of noise, and a bad one."""
    root = tmp_path_factory.mktemp("clips")
    draw = torch.Generator().manual_seed(0)
    for index in range(4):
        frames = torch.randint(0, 256, (6, 20, 24, 3), generator=draw).to(torch.uint8)
        sound = 0.1 * torch.randn(1, 6000, generator=draw).clamp(-1, 1)
        Clip(frames, Fraction(8), sound, 8000).save(root / f"g{index}.mp4")
    (root / "bad.mp4").write_bytes(b"not a clip at all, but long enough to be looked into")
    return root


def listed(folder, *, num_good=10, num_bad=0, num_unlisted=0):
    """As many names as are wanted: links to the few files there are."""
    for index in range(num_good + num_bad):
        path = folder / f"{index:04d}.mp4"
        target = folder / ("bad.mp4" if index % 100 < num_bad else f"g{index % 4}.mp4")
        if not path.is_symlink():
            path.symlink_to(target)
        elif path.resolve() != target:
            path.unlink()
            path.symlink_to(target)
    names = [f"{index:04d}.mp4" for index in range(num_good + num_bad)]
    return ListedClips(Listed(folder, names, num_unlisted=num_unlisted), SPEC)


def batches_of(dataset, *, batch_size=4, num_workers=0, count=3, start=0, rank=0, world_size=1):
    order = EndlessOrder(len(dataset), batch_size, seed=5, rank=rank, world_size=world_size)
    loader = ResumableLoader(dataset, order, num_workers=num_workers, timeout_seconds=60)
    loader.load_state_dict({"samples": start * batch_size})
    return [batch for batch, _ in zip(loader, range(count), strict=False)]


def digest_of(batch):
    sha = hashlib.sha256(repr((batch.captions, batch.sample_ids)).encode())
    sha.update(batch.frames.numpy().tobytes() + batch.waveform.numpy().tobytes())
    return sha.hexdigest()


def test_d6_a_sample_is_a_function_of_seed_and_number(folder):
    whole = [digest_of(batch) for batch in batches_of(FileClips(listed(folder), seed=1))]
    torch.manual_seed(99)
    with_workers = batches_of(FileClips(listed(folder), seed=1), num_workers=2)
    assert [digest_of(batch) for batch in with_workers] == whole
    resumed = batches_of(FileClips(listed(folder), seed=1), start=1, count=2)
    assert [digest_of(batch) for batch in resumed] == whole[1:]
    other_seed = batches_of(FileClips(listed(folder), seed=2))
    assert [digest_of(batch) for batch in other_seed] != whole
    ranks = [
        batches_of(FileClips(listed(folder), seed=1), rank=rank, world_size=2) for rank in (0, 1)
    ]
    for number, batch in enumerate(batches_of(FileClips(listed(folder), seed=1))):
        parts = [of_rank[number] for of_rank in ranks]
        assert torch.equal(torch.cat([part.frames for part in parts]), batch.frames)
        assert torch.equal(torch.cat([part.waveform for part in parts]), batch.waveform)


def test_crops_and_stretches_change_from_epoch_to_epoch(folder):
    dataset = FileClips(listed(folder), seed=1)
    samples = [dataset[2 + 10 * epoch][1] for epoch in range(6)]
    assert {sample.key for sample in samples} == {"0002.mp4"}
    assert len({sample.frames.numpy().tobytes() for sample in samples}) > 2
    again = dataset[2][1]
    assert torch.equal(again.frames, samples[0].frames)


def test_v3_one_per_cent_of_bad_clips_is_told_and_replaced(folder, caplog):
    with caplog.at_level(logging.WARNING, logger="mmdiff"):
        dataset = FileClips(listed(folder, num_good=99, num_bad=1), seed=1, max_bad_fraction=0.01)
        batches = batches_of(dataset, batch_size=20, num_workers=2, count=5)
    keys = [caption for batch in batches for caption in batch.captions]
    assert len(keys) == 100 and "0000.mp4" not in keys
    assert sorted(number for batch in batches for number in batch.sample_ids) == list(range(100))
    assert len(dataset.left_out()) == 1
    assert "1 of 100 clips are left out so far (1.00 %" in caplog.text
    assert "0000.mp4 (not_media)" in caplog.text
    alone = FileClips(listed(folder, num_good=99, num_bad=1), seed=1)
    replaced = next(
        (batch, place)
        for batch in batches
        for place, number in enumerate(batch.sample_ids)
        if number == 0
    )
    assert torch.equal(replaced[0].frames[replaced[1]], alone[0][1].frames)
    assert alone[0][1].caption == replaced[0].captions[replaced[1]]


class Thousand(Listed):
    """The few files under a thousand names, ten of them bad."""

    def listing(self):
        names = ["bad" if index % 100 == 7 else f"g{index % 4}" for index in range(1000)]
        entries = (
            ClipEntry(f"{index:04d}", name, self.folder / f"{name}.mp4")
            for index, name in enumerate(names)
        )
        return Listing(tuple(entries), ())


@pytest.mark.slow
def test_v3_ten_bad_clips_of_a_thousand(folder, caplog):
    dataset = FileClips(ListedClips(Thousand(folder, ()), SPEC), seed=1)
    with caplog.at_level(logging.WARNING, logger="mmdiff"):
        batches = batches_of(dataset, batch_size=100, num_workers=2, count=10)
    assert sum(map(len, batches)) == 1000
    assert len(dataset.left_out()) == 10
    assert "10 of 1000 clips are left out so far (1.00 %)" in caplog.text
    again = FileClips(dataset.clips, seed=1)
    resumed = batches_of(again, batch_size=100, start=8, count=2)
    assert [digest_of(batch) for batch in resumed] == [digest_of(batch) for batch in batches[8:]]


def test_v3_a_substitute_is_a_function_of_seed_number_and_attempt(folder):
    clips = listed(folder, num_good=40, num_bad=60)
    one = FileClips(clips, seed=1, max_bad_fraction=1.0)
    other = FileClips(clips, seed=1, max_bad_fraction=1.0)
    forward = {number: one[number][1].key for number in range(20)}
    backward = {number: other[number][1].key for number in reversed(range(20))}
    assert forward == backward
    assert len(set(forward.values())) > 5


@pytest.mark.parametrize("num_workers", [0, 2])
def test_v3_too_many_bad_clips_end_with_the_list(folder, num_workers):
    dataset = FileClips(listed(folder, num_good=96, num_bad=4), seed=1, max_bad_fraction=0.03)
    with pytest.raises(TooManyBadFiles) as told:
        batches_of(dataset, batch_size=20, num_workers=num_workers, count=5)
    lines = str(told.value).splitlines()
    assert lines[0].startswith("4 of 100 clips are bad (4.00%), more than max_bad_fraction=0.03")
    assert lines[1:] == [f"not_media    000{index}.mp4" for index in range(4)]


def test_v3_all_bad(folder):
    clips = ListedClips(Listed(folder, ["bad.mp4", "gone.mp4"]), SPEC)
    dataset = FileClips(clips, seed=1, max_bad_fraction=1.0)
    with pytest.raises(TooManyBadFiles, match="2 of 2 clips are bad"):
        dataset[0]


def test_v3_what_could_not_be_listed_counts(folder):
    dataset = FileClips(listed(folder, num_good=10, num_unlisted=2), seed=1, max_bad_fraction=0.1)
    with pytest.raises(TooManyBadFiles, match="2 of 12 clips") as told:
        batches_of(dataset)
    assert "bad_row      row 0" in str(told.value)
    batches_of(FileClips(dataset.clips, seed=1, max_bad_fraction=0.2), count=1)


def test_v10_nothing_is_listed():
    dataset = FileClips(ListedClips(Listed(None, []), SPEC), seed=1)
    with pytest.raises(TooManyBadFiles, match="lists no clips"):
        dataset.check()


def _rank(rank, folder, results):
    """Rank 1 finds its files bad: they are there for rank 0 only."""
    clips = ListedClips(Listed(folder / f"rank{rank}", [f"{i}.mp4" for i in range(8)]), SPEC)
    dataset = FileClips(clips, seed=1, max_bad_fraction=0.5)
    batches = batches_of(dataset, batch_size=4, rank=rank, world_size=2, count=4)
    results.put((rank, [len(batch) for batch in batches], len(dataset.left_out())))


def test_v4_bad_files_of_one_rank_stall_nobody(folder):
    for rank in (0, 1):
        (folder / f"rank{rank}").mkdir(exist_ok=True)
        for index in range(8):
            is_bad = rank == 1 and index in (0, 3, 5)
            target = folder / ("bad.mp4" if is_bad else f"g{index % 4}.mp4")
            (folder / f"rank{rank}" / f"{index}.mp4").symlink_to(target)
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    processes = [context.Process(target=_rank, args=(rank, folder, results)) for rank in (0, 1)]
    for process in processes:
        process.start()
    got = sorted(results.get(timeout=60) for _ in processes)
    for process in processes:
        process.join(10)
    assert [sizes for _, sizes, _ in got] == [[2] * 4, [2] * 4], "equal batches on both"
    assert (got[0][2], got[1][2] > 0) == (0, True)


class FaultyClips(ListedClips):
    """Reading number 6 makes a process do `fault`."""

    def fitted(self, index, generator=None, spec=None):
        if index == 6:
            self.fault()
        return super().fitted(index, generator, spec)


def _unpicklable():
    class Local(Exception):  # noqa: N818
        def __reduce__(self):
            raise TypeError("cannot be pickled")

    raise Local("out of the depths of a codec")


def _killed():
    os.kill(os.getpid(), signal.SIGKILL)


def _hung():
    time.sleep(300)


FAULTS = {
    "killed": (_killed, "DataLoader worker (pid"),
    "hung": (_hung, "timed out after 3 seconds"),
    "unpicklable": (_unpicklable, "Local: out of the depths of a codec"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_v5_a_lost_worker_is_told_with_sample_and_file(folder, name):
    fault, said = FAULTS[name]
    names = [entry.key for entry in listed(folder).entries]
    clips = FaultyClips(Listed(folder, names), SPEC)
    clips.fault = fault
    dataset = FileClips(clips, seed=1)
    order = EndlessOrder(10, 5, seed=5)
    loader = ResumableLoader(dataset, order, num_workers=2, timeout_seconds=3)
    began = time.monotonic()
    with pytest.raises(ReadingFailed) as told:
        for _ in zip(loader, range(2), strict=False):
            pass
    assert time.monotonic() - began < 60
    message = str(told.value)
    assert said in message
    assert "0006.mp4" in message
    assert "sample 6" in message
    assert "worker" in message


def test_facts_change_whenever_the_sample_would(folder, tmp_path):
    fixed = ClipSpec(2, 16, 16, frame_rate=8, sample_rate=8000)

    def identity(name="g0.mp4", spec=fixed, **changes):
        entry = ClipEntry(**{"key": name, "caption": "a", "media": folder / name, **changes})
        clips = ListedClips(Listed(folder, []), spec)
        clips.listing = Listing((entry,), ())
        return clips.facts(0).identity

    same = [identity(), identity(caption="another"), identity(key="another name")]
    assert len(set(same)) == 1
    others = [
        identity("g1.mp4"),
        identity(start_seconds=0.25),
        identity(end_seconds=0.5),
        identity(audio=folder / "g1.mp4"),
        identity(spec=ClipSpec(2, 16, 16, frame_rate=8, sample_rate=16000)),
        identity(spec=SPEC),
        identity(spec=SPEC, key="another name"),  # what is left to chance is drawn from the name
    ]
    assert len({*same, *others}) == 1 + len(others)


def test_v1_names_of_several_lines_are_rows_too(folder):
    clips = ListedClips(Listed(folder, ["gone\nfor\udce9good.mp4"]), SPEC)
    assert clips[0].reason is Reason.MISSING
    assert clips.facts(0).reason is Reason.MISSING
    with pytest.raises(TooManyBadFiles) as told:
        FileClips(clips, seed=1)[0]
    assert len(str(told.value).splitlines()) == 2


def test_facts_and_items_of_what_is_bad(folder):
    clips = ListedClips(Listed(folder, ["g0.mp4", "gone.mp4"], num_unlisted=1), SPEC)
    assert len(clips) == 3
    assert isinstance(clips.facts(0), SampleFacts)
    assert clips.facts(1).reason is Reason.MISSING
    assert clips[1].reason is Reason.MISSING
    assert clips.facts(2) == clips[2] == clips.listing.rejections[0]


def test_a_first_stretch_of_a_long_clip_is_the_same_read_whole_or_not(folder):
    spec = ClipSpec(2, 16, 16, frame_rate=8, sample_rate=16000)
    clips = ListedClips(Listed(folder, ["g0.mp4"]), spec)
    sample = clips[0]
    whole = fit_clip(Clip.load(folder / "g0.mp4"), spec, caption="g0.mp4", key="g0.mp4").sample
    assert torch.equal(sample.frames, whole.frames)
    torch.testing.assert_close(sample.waveform, whole.waveform, atol=1e-6, rtol=0)


def test_sources_are_mixed_by_weight(folder):
    sources = {
        "a": Listed(folder, ["g0.mp4", "g1.mp4", "g2.mp4"]),
        "b": Listed(folder, ["g3.mp4"]),
    }
    data = SeveralData(sources=sources, seed=0, batch_size=2, weights={"a": 1, "b": 3}, spec=SPEC)
    order = data.order(rank=0, world_size=1)
    drawn = [number % 4 for numbers in islice(order, 400) for number in numbers]
    assert drawn.count(3) / len(drawn) == pytest.approx(0.75, abs=0.01)
    _, sample = data.dataset[3]
    assert sample.key == "b/g3.mp4"


def test_a_source_that_is_a_text_is_a_folder(folder, tmp_path):
    for name in ("g0", "g1"):
        (tmp_path / f"{name}.mp4").write_bytes((folder / f"{name}.mp4").read_bytes())
        (tmp_path / f"{name}.txt").write_text(f"caption {name}")
    data = SeveralData(sources={"mine": str(tmp_path)}, seed=0, batch_size=1, spec=SPEC)
    assert [entry.key for entry in data.dataset.clips.entries] == ["mine/g0.mp4", "mine/g1.mp4"]


def test_files_that_are_held_out_are_read_alike_by_every_run(folder):
    """Bad ones among them are left out and counted, and do not end a run."""
    entries = listed(folder, num_good=10, num_bad=1).entries
    names = [entry.key for entry in entries]

    def parts(seed):
        clips = FileClips(ListedClips(Listed(folder, names), SPEC), seed=seed, max_bad_fraction=0.2)
        return DataModule(clips, 2, seed=seed, val_clips=5)

    first, second = parts(1), parts(2)
    assert sorted([*first.val_set.keys(), *first.train_set.keys()]) == sorted(names)
    held = [[batch.frames for batch in data.val_dataloader()] for data in (first, second)]
    assert [len(batch) for batch in held[0]] == [2, 2, 1]
    assert all(map(torch.equal, *held))
    both = next(iter(first.train_dataloader())), next(iter(second.train_dataloader()))
    assert not torch.equal(both[0].frames, both[1].frames)


def test_shares_of_sources_stay_where_clips_are_held_out(folder):
    sources = {name: Listed(folder, [f"g{i}.mp4" for i in range(4)]) for name in ("a", "b")}
    data = SeveralData(sources=sources, weights={"a": 3, "b": 1}, seed=0, batch_size=2, val_clips=3)
    assert data.train_set.clips.listing.weights == {"a": 3, "b": 1}
    order, keys = data.order(rank=0, world_size=1), data.train_set.keys()
    assert len(keys) == 5
    drawn = [keys[number % 5][0] for numbers in islice(order, 400) for number in numbers]
    assert drawn.count("a") / len(drawn) == pytest.approx(0.75, abs=0.01)
