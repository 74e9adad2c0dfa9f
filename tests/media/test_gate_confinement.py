"""S8: a media file opens no other file, and only containers on the list are read."""

import io
from pathlib import Path

import av
import pytest
import torch

from mmdiff.media.clip import Clip
from mmdiff.media.decoder import CONTAINERS
from mmdiff.media.reader import decode_clip
from mmdiff.media.rejection import Reason, Rejection

HEAD = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n"
LISTS = {
    "playlist of a file": f"{HEAD}plain.mp4\n#EXT-X-ENDLIST\n",
    "playlist of a url": f"{HEAD}file://{{folder}}/plain.mp4\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile plain.mp4\n",
    "concat of a path": "ffconcat version 1.0\nfile '{folder}/plain.mp4'\n",
    "session": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 4000 RTP/AVP 96\n",
    "dash": '<?xml version="1.0"?><MPD><Period><BaseURL>plain.mp4</BaseURL></Period></MPD>',
    "metadata": ";FFMETADATA1\ntitle=plain.mp4\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_clip) -> Path:
    """A good clip, in the current folder, that lists can name."""
    small_clip(5, height=16, width=16).save(tmp_path / "plain.mp4")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("suffix", [".mp4", ".m3u8", ".ffconcat", ""])
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
    ("container", "codec"),
    [("ivf", "libvpx"), ("nut", "mpeg4"), ("rawvideo", "rawvideo")],
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
