"""What a file is by its first bytes, that it is whole, and that it names no other file."""

import io
import multiprocessing
import re
import struct
from pathlib import Path

import av
import pytest
import torch

from mmdiff.media.clip import Clip
from mmdiff.media.decoder import CONTAINERS, STRICT
from mmdiff.media.reader import decode_clip
from mmdiff.media.rejection import Reason, Rejection
from tests.media.corpus import claim_samples, pings, write_media
from tests.media.gate_worker import cost_of

MIB = 2**20
HEAD = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n"
LISTS = {
    "playlist of a file": f"{HEAD}plain.mp4\n#EXT-X-ENDLIST\n",
    "playlist of a url": f"{HEAD}file://{{folder}}/plain.mp4\n#EXT-X-ENDLIST\n",
    "concat of a path": "ffconcat version 1.0\nfile '{folder}/plain.mp4'\n",
    "session": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 4000 RTP/AVP 96\n",
    "dash": '<?xml version="1.0"?><MPD><Period><BaseURL>plain.mp4</BaseURL></Period></MPD>',
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_clip) -> Path:
    """A good clip, in the current folder, that lists can name."""
    small_clip(5, height=16, width=16).save(tmp_path / "plain.mp4")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _read_by_pyav(content: bytes) -> dict[str, int]:
    """Frames and sound frames that PyAV gives with its strict flags, and no error."""
    counts: dict[str, int] = {}
    with av.open(io.BytesIO(content), options=STRICT) as container:
        for stream in container.streams:
            stream.codec_context.options = STRICT
        for packet in container.demux():
            kind = packet.stream.type
            counts[kind] = counts.get(kind, 0) + len(packet.decode())
    return counts


def _cut(content: bytes, name: str) -> bytes:
    if name == "plain.mp4":  # within the index at its end: between the tracks
        return content[: content.rfind(b"trak") - 4]
    return content[: len(content) * 7 // 10]


@pytest.mark.parametrize(
    "name", ["plain.mp4", "plain.mkv", "vp9.webm", "plain.avi", "sound.wav", "sound.ogg", "a.aiff"]
)
def test_v1_pyav_reads_a_cut_file_without_a_word_and_the_gate_refuses_it(corpus, name):
    """Which is why each container is asked where it ends."""
    if name == "a.aiff":
        file = io.BytesIO()
        pcm = {"sound_codec": "pcm_s16be", "sound_format": "s16"}
        write_media(file, waves=(pings(),), container="aiff", **pcm)
        content = file.getvalue()
    else:
        content = corpus[name].path.read_bytes()
    whole, part = _read_by_pyav(content), _read_by_pyav(_cut(content, name))
    assert any(part.get(kind, 0) < count for kind, count in whole.items())
    for limit in (None, 1):
        outcome = decode_clip(io.BytesIO(_cut(content, name)), name=name, at_most_seconds=limit)
        assert isinstance(outcome, Rejection)
        assert outcome.reason is Reason.TRUNCATED
        assert "fetch it again" in outcome.message


def test_v1_an_mp4_that_is_cut_anywhere_is_truncated(small_clip, tmp_path):
    small_clip(33).save(tmp_path / "good.mp4")
    whole = (tmp_path / "good.mp4").read_bytes()
    index_at = whole.index(b"moov")
    for cut in [*range(64, index_at, 997), *range(index_at + 4, len(whole), 31), len(whole) - 1]:
        outcome = decode_clip(io.BytesIO(whole[:cut]), name="cut.mp4")
        assert isinstance(outcome, Rejection), cut
        assert outcome.reason is Reason.TRUNCATED, (cut, outcome.message)


def test_what_a_writer_that_cannot_go_back_leaves_open_is_no_cut(corpus):
    """Sizes of a live matroska and of a streamed RIFF, and what a phone puts behind an mp4."""
    matroska = bytearray(corpus["plain.mkv"].path.read_bytes())
    position = matroska.find(b"\x18\x53\x80\x67") + 4
    matroska[position : position + 8] = b"\x01" + b"\xff" * 7
    mp4 = corpus["plain.mp4"].path.read_bytes() + struct.pack(">I4s", 5000, b"uuid") + bytes(100)
    riff = corpus["plain.avi"].path.read_bytes()
    for content in (bytes(matroska), mp4, riff[:4] + b"\xff" * 4 + riff[8:]):
        clip = decode_clip(io.BytesIO(content), name="live")
        assert isinstance(clip, Clip), clip
        assert clip.num_frames == 32


def test_s8_bombs_are_refused_fast_and_small(corpus, tmp_path):
    padded = tmp_path / "padded.mp4"  # large enough to hold the million frames that it claims
    padding = struct.pack(">I4s", 2 * MIB + 8, b"free") + bytes(2 * MIB)
    plain = corpus["plain.mp4"].path
    padded.write_bytes(claim_samples(plain.read_bytes(), 10**6) + padding)
    names = ("huge.mov", "huge_inside.mov", "million.mp4", "billion.mp4", "bomb.png")
    paths = [plain, padded, *(corpus[name].path for name in names)]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        costs = pool.apply(cost_of, (paths,))
    assert costs[0].outcome == "accepted"
    assert costs[1].outcome == "too_long"
    for cost in costs[1:]:
        assert cost.outcome in ("too_large", "too_long", "damaged")
        assert cost.seconds <= 2
        assert cost.peak_growth <= 300 * MIB


def test_s8_boxes_within_boxes_end():
    nested = b"".join(struct.pack(">I4s", 8 * (5000 - index), b"moov") for index in range(5000))
    outcome = decode_clip(io.BytesIO(nested), name="deep.mp4")
    assert isinstance(outcome, Rejection)
    assert outcome.reason in (Reason.DAMAGED, Reason.EMPTY)


def test_kinds_that_are_not_read_are_named_with_a_command_for_them():
    for start, kind, command in (
        (b"\0\0\0\x24ftypheic\0\0\0\0", "a HEIC image", "heif-convert 'a b.jpg' 'a b'.png"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "an AVIF image", "ffmpeg -i 'a b.jpg' 'a b'.png"),
        (b"\x06\x0e\x2b\x34", "an MXF file", "ffmpeg -i 'a b.jpg' -c copy 'a b'.mov"),
        (b"wvpk", "a WavPack file", "ffmpeg -i 'a b.jpg' 'a b'.wav"),
    ):
        outcome = decode_clip(io.BytesIO(start + bytes(2000)), name="a b.jpg")
        assert isinstance(outcome, Rejection)
        assert outcome.reason is Reason.UNSUPPORTED
        assert re.search(f"is {kind}.*: {re.escape(command)}", outcome.message)


@pytest.mark.parametrize("suffix", [".mp4", ".m3u8", ""])
@pytest.mark.parametrize("name", LISTS)
def test_s8_a_list_of_files_is_no_media(folder: Path, name: str, suffix: str) -> None:
    path = folder / f"list{suffix}"
    path.write_text(LISTS[name].format(folder=folder))
    outcome = decode_clip(path)
    assert isinstance(outcome, Rejection) and outcome.reason is Reason.NOT_MEDIA
    assert isinstance(decode_clip(folder / "plain.mp4"), Clip), "what it names could be read"


@pytest.mark.parametrize("name", ["image%03d.png", "concat:plain.mp4", "subfile,,:plain.mp4"])
def test_s8_a_name_is_no_pattern_and_no_protocol(folder: Path, name: str) -> None:
    outcome = decode_clip(name)
    assert isinstance(outcome, Rejection) and outcome.reason is Reason.MISSING


@pytest.mark.parametrize(
    ("container", "codec"), [("ivf", "libvpx"), ("nut", "mpeg4"), ("rawvideo", "rawvideo")]
)
def test_s8_containers_off_the_list_are_refused(folder: Path, container: str, codec: str) -> None:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=8)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        pixels = torch.full((16, 16, 3), 90, dtype=torch.uint8).numpy()
        for _ in range(4):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        output.mux(stream.encode())
    assert container not in CONTAINERS.split(",") and file.tell() > 100
    (folder / "renamed.mp4").write_bytes(file.getvalue())
    outcome = decode_clip(folder / "renamed.mp4")
    assert isinstance(outcome, Rejection) and outcome.reason is Reason.NOT_MEDIA
