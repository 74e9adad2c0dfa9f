"""A list may say which bytes a file must have."""

import hashlib
import io
import random
from pathlib import Path

import pytest

from mmdiff.data import gate as room
from mmdiff.data.gate import read_entry
from mmdiff.data.sources.folder import ClipFolder
from mmdiff.media.clip import Clip
from mmdiff.media.limits import Limits
from mmdiff.media.rejection import Reason, RejectedMedia, Rejection
from tests.media.corpus import pings, scene, write_media


@pytest.fixture
def content() -> bytes:
    """Of a clip in which nearly all bits are picture: a tenth of the flips decode to garbage."""
    file = io.BytesIO()
    frames = scene(8, height=96, width=128)
    frames[:, ::3, ::5] ^= 31
    write_media(file, frames=frames, waves=(pings(0.5),), container="mp4")
    return file.getvalue()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _read(folder: Path, columns: str, row: str) -> Clip | Rejection:
    (folder / "metadata.csv").write_text(f"{columns}\n{row}\n")
    listing = ClipFolder(folder).listing()
    if listing.rejections:
        return listing.rejections[0]
    try:
        return read_entry(listing.entries[0], Limits())
    except RejectedMedia as error:
        return error.rejection


def test_v2_with_a_digest_in_the_list_no_flipped_bit_passes(tmp_path: Path, content: bytes) -> None:
    path, columns = tmp_path / "a.mp4", "file_name,text,sha256"
    row = f"a.mp4,a disc,{_sha256(content)}"
    chance = random.Random(0)
    for _ in range(300):
        flipped = bytearray(content)
        flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(bytes(flipped))
        outcome = _read(tmp_path, columns, row)
        assert isinstance(outcome, Rejection) and outcome.reason == Reason.DAMAGED
        path.unlink()  # a new file for the next: same size, and perhaps the same time
        room._digest.cache_clear()
    assert "a.mp4 is not the file that was listed" in outcome.message
    path.write_bytes(content)
    assert isinstance(_read(tmp_path, columns, row.upper().replace("A.MP4", "a.mp4")), Clip)


def test_the_sound_given_apart_has_its_own(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    write_media(
        tmp_path / "a.wav", waves=(pings(0.5),), sound_codec="pcm_s16le", sound_format="s16"
    )
    columns = "file_name,text,audio_file_name,audio_sha256"
    sound = _sha256((tmp_path / "a.wav").read_bytes())
    assert isinstance(_read(tmp_path, columns, f"a.mp4,a disc,a.wav,{sound}"), Clip)
    outcome = _read(tmp_path, columns, f"a.mp4,a disc,a.wav,{_sha256(content)}")
    assert isinstance(outcome, Rejection) and "a.wav has another sha256" in outcome.message


@pytest.mark.parametrize("digest", ["1234", "z" * 64, _sha256(b"") + "0"])
def test_a_digest_that_is_none_is_told(tmp_path: Path, content: bytes, digest: str) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    outcome = _read(tmp_path, "file_name,text,sha256", f"a.mp4,a disc,{digest}")
    assert isinstance(outcome, Rejection) and outcome.reason == Reason.BAD_ROW
    assert "has a sha256 that is none" in outcome.message


def test_a_long_file_is_read_once_for_all_its_spans(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    rows = [f"a.mp4,a disc,{_sha256(content)},0,0.25", f"a.mp4,a disc,{_sha256(content)},0.25,0.5"]
    table = "\n".join(["file_name,text,sha256,start,end", *rows])
    (tmp_path / "metadata.csv").write_text(table)
    read = []
    monkeypatch.setattr(room, "sha256_of", lambda path: read.append(path) or _sha256(content))
    room._digest.cache_clear()
    entries = ClipFolder(tmp_path).listing().entries
    assert all(isinstance(read_entry(entry, Limits()), Clip) for entry in entries)
    assert len(entries) == 2 and len(read) == 1
