"""What a file says of itself, by way of a row of a table."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmdiff.data import listed_clips as listed_room
from mmdiff.data.check.check_clips import check_clip
from mmdiff.data.clip_spec import ClipSpec
from mmdiff.data.clip_types import STILL, clip_types
from mmdiff.data.listed_clips import ListedClips
from mmdiff.data.sources.folder import ClipFolder
from mmdiff.media.clip import Clip
from mmdiff.media.reader import decode_clip
from mmdiff.media.rejection import Reason
from mmdiff.values.sample import SampleFacts
from tests.data.listed import Listed

SPEC = ClipSpec(num_frames=9, height=16, width=16, frame_rate=8, sample_rate=8000)


def _table(folder, *names: str) -> ListedClips:
    rows = "".join(f"{name},a clip\n" for name in names)
    (folder / "metadata.csv").write_text(f"file_name,text\n{rows}", encoding="utf-8")
    return ListedClips(ClipFolder(folder), SPEC)


def _images(count: int) -> list[Image.Image]:
    levels = np.linspace(0, 250, count).round().astype(np.uint8)
    return [Image.fromarray(np.full((16, 16, 3), level)) for level in levels]


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_an_animation_is_a_clip_and_a_still_beside_it_is_none(tmp_path, suffix):
    first, *others = _images(12)
    lossless = {"lossless": True} if suffix == "webp" else {}
    moving = {"save_all": True, "append_images": others, "duration": 125, **lossless}
    first.save(tmp_path / f"moving.{suffix}", **moving)
    first.save(tmp_path / f"still.{suffix}", **lossless)
    clips = _table(tmp_path, f"moving.{suffix}", f"still.{suffix}")
    assert clips[0].frames.shape == (9, 16, 16, 3)
    levels = clips[0].frames.float().mean(dim=(1, 2, 3))
    torch.testing.assert_close(levels, torch.linspace(0, 250, 12)[:9], atol=1.5, rtol=0)
    assert clips[1].frames.shape == (1, 16, 16, 3)
    assert [one == STILL for one in clip_types(clips)] == [False, True]


def test_a_row_may_name_a_part_of_an_animation(tmp_path):
    first, *others = _images(16)
    first.save(tmp_path / "a.gif", save_all=True, append_images=others, duration=125)
    text = "file_name,text,start,end\na.gif,a clip,0.5,1.625\n"
    (tmp_path / "metadata.csv").write_text(text)
    sample = ListedClips(ClipFolder(tmp_path), SPEC)[0]
    levels = sample.frames.float().mean(dim=(1, 2, 3))
    torch.testing.assert_close(levels, torch.linspace(0, 250, 16)[4:13], atol=1.5, rtol=0)


def test_what_was_done_while_reading_is_in_the_report(tmp_path):
    clear = Image.new("RGBA", (16, 16), (200, 10, 10, 0))
    clear.save(tmp_path / "clear.png")
    row = check_clip(_table(tmp_path, "clear.png"), 0)
    assert row.status == "adapted" and row.adaptations == ("transparency shown on white",)


@pytest.mark.parametrize("on_disk, listed", [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_name_in_the_other_unicode_form_is_reported_as_such(tmp_path, on_disk, listed):
    for name in (on_disk, listed):
        assert unicodedata.normalize(name, "café") in ("café", "cafe\u0301")
    _images(1)[0].save(tmp_path / f"{unicodedata.normalize(on_disk, 'café')}.png")
    clips = _table(tmp_path, f"{unicodedata.normalize(listed, 'café')}.png")
    assert clips[0].reason is Reason.MISSING
    assert f"in the other Unicode form ({on_disk})" in clips[0].message


def test_a_name_with_backslashes_is_reported_as_such(tmp_path):
    (tmp_path / "train").mkdir()
    _images(1)[0].save(tmp_path / "train" / "a.png")
    clips = _table(tmp_path, "train\\a.png")
    assert clips[0].reason is Reason.MISSING
    assert "parted by backslashes, and it is there with slashes" in clips[0].message


def test_a_link_to_a_file_without_a_suffix_is_an_image_as_its_own_name_says(tmp_path):
    _images(1)[0].save(tmp_path / "0a1b2c", "PNG")
    (tmp_path / "a.png").symlink_to(tmp_path / "0a1b2c")
    assert _table(tmp_path, "a.png")[0].frames.shape == (1, 16, 16, 3)


def test_a_sound_given_apart_keeps_its_layout(tmp_path):
    wave = torch.zeros(6, 16_000)
    wave[3] = 0.9  # the low frequency effects
    clip = Clip(waveform=wave, sample_rate=8000, channel_layout="5.1")
    first, *others = _images(16)
    first.save(tmp_path / "a.gif", save_all=True, append_images=others, duration=125)
    clip.save(tmp_path / "a.wav")
    assert decode_clip(tmp_path / "a.wav").waveform[3].max() > 0.8
    text = "file_name,text,audio_file_name\na.gif,a clip,a.wav\n"
    (tmp_path / "metadata.csv").write_text(text)
    sample = ListedClips(ClipFolder(tmp_path), SPEC)[0]
    assert sample.waveform.abs().max() < 1e-3


def test_v6_what_files_are_brought_to_is_part_of_their_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"bytes of a file")
    changes = ({}, {"height": 32}, {"width": 32}, {"num_frames": 5}, {"sample_rate": 8000})

    def identities() -> set[str]:
        listed = [ListedClips(Listed(tmp_path, ["a.mp4"]), ClipSpec(**one)) for one in changes]
        facts = [clips.facts(0) for clips in listed]
        return {one.identity for one in facts if isinstance(one, SampleFacts)}

    before = identities()
    assert len(before) == len(changes)
    monkeypatch.setattr(listed_room, "FITTING", listed_room.FITTING + 1)
    assert not before & identities()
