"""F4: what a file says of itself is right in its clip, or reported; never silent."""

import io
import random
import shutil
import struct
import subprocess
from fractions import Fraction
from math import log10

import av
import numpy as np
import pytest

from mmdiff.media.clip import Clip
from mmdiff.media.mono import to_mono
from mmdiff.media.reader import decode_clip
from mmdiff.media.rejection import Reason, Rejection
from tests.media.corpus import scene, write_media
from tests.media.stated_files import OVER_WHITE, Stated, stated_files

MOST_OFF, MOST_DECIBELS, MOST_SECONDS = 3.0, 1.0, 0.005


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[Stated]:
    return stated_files(tmp_path_factory.mktemp("stated"))


def _faults(file: Stated) -> list[str]:
    outcome = decode_clip(file.path)
    if not isinstance(outcome, Clip):
        return [] if outcome.reason is file.refused else [outcome.message]
    if file.refused is not None:
        return [f"read as {outcome.shape} {outcome.notes}"]
    faults = []
    if file.note is None and outcome.notes:
        faults.append(f"noted {outcome.notes}")
    if file.note is not None and not any(note.startswith(file.note) for note in outcome.notes):
        faults.append(f"silent about {file.note}: {outcome.notes}")
    if file.seconds is not None:
        return faults + _timing(outcome, file)
    if file.frames is not None:
        faults += _picture(outcome.frames.numpy(), file.frames)
        if outcome.num_frames > 1 and outcome.fps != file.fps:
            faults.append(f"{outcome.fps} frames a second, not {file.fps}")
    if file.mono is not None:
        mono = to_mono(outcome.waveform, outcome.channel_layout).numpy()
        faults += _sound(mono, file.mono, outcome.sample_rate)
    return faults


def _picture(ours: np.ndarray, theirs: np.ndarray) -> list[str]:
    if ours.shape != theirs.shape:
        return [f"frames {ours.shape}, not {theirs.shape}"]
    off = float(np.abs(ours.astype(float) - theirs).mean(axis=(1, 2, 3)).max())
    return [] if off <= MOST_OFF else [f"frames off by {off:.1f} of 255"]


def _timing(clip: Clip, file: Stated) -> list[str]:
    """The frame that each tick shows is found by its looks."""
    ours = clip.frames.float().mean(dim=(2, 3)).numpy()
    theirs = file.frames.astype(float).mean(axis=2).mean(axis=-1)
    distances = np.abs(ours[:, None] - theirs[None]).sum(axis=-1)
    shown = distances.argmin(axis=1).tolist()
    if sorted(set(shown)) != list(range(len(theirs))):
        return [f"shows {len(set(shown))} of {len(theirs)} frames"]
    begins = [shown.index(frame) / float(clip.fps) for frame in range(len(theirs))]
    late = float(np.abs(np.array(begins) - file.seconds).max())
    return [] if late <= MOST_SECONDS + 1e-3 else [f"frames {1000 * late:.1f} ms off their time"]


def _sound(ours: np.ndarray, theirs: np.ndarray, rate: int) -> list[str]:
    lag = _lag(ours[0], theirs[0])
    faults = [] if abs(lag) <= MOST_SECONDS * rate else [f"sound {1000 * lag / rate:.1f} ms late"]
    ours, theirs = ours[:, max(lag, 0) :], theirs[:, max(-lag, 0) :]
    shared = min(ours.shape[1], theirs.shape[1])
    ours, theirs = ours[:, :shared], theirs[:, :shared]
    change = 20 * log10(np.sqrt((ours**2).mean()) / np.sqrt((theirs**2).mean()))
    if abs(change) > MOST_DECIBELS:
        faults.append(f"sound {change:.1f} dB off")
    if np.corrcoef(ours[0], theirs[0])[0, 1] < 0.95:  # codecs smear what begins suddenly
        faults.append("another sound")
    return faults


def _lag(ours: np.ndarray, theirs: np.ndarray) -> int:
    """By how many samples ours is later."""
    size = len(ours) + len(theirs)
    likeness = np.fft.irfft(np.fft.rfft(ours, size) * np.fft.rfft(theirs, size).conj(), size)
    lag = int(likeness.argmax())
    return lag - size if lag > size // 2 else lag


def test_f4_what_a_file_says_of_itself_is_right_or_reported(files):
    assert len(files) >= 60
    faults = {file.path.name: found for file in files if (found := _faults(file))}
    assert not faults


@pytest.mark.parametrize("percent", [10, 50, 90, 99])
def test_a_cut_file_of_the_further_kinds_is_refused_or_lacks_its_last_moments(files, percent):
    """MPEG-TS and MPEG-PS do not state how long they are: of those no decoder can tell."""
    cuttable = (".flv", ".wmv", ".aiff", ".gif", ".webp", ".apng")
    names = [file for file in files if file.path.suffix in cuttable and file.refused is None]
    assert len(names) >= 8
    for file in names:
        content = file.path.read_bytes()
        whole = decode_clip(file.path)
        part = io.BytesIO(content[: len(content) * percent // 100])
        outcome = decode_clip(part, name=file.path.name)
        if isinstance(outcome, Clip):
            assert file.path.suffix in (".flv", ".wmv"), file.path
            assert whole.duration_seconds - outcome.duration_seconds <= Fraction(1, 4)


def test_flipped_bits_of_the_further_kinds_are_never_an_error_of_ours(files, capfd):
    chance = random.Random(0)
    kinds = (".ts", ".mts", ".mpg", ".flv", ".wmv", ".aiff", ".gif", ".webp", ".tif")
    for suffix in kinds:
        content = next(file for file in files if file.path.suffix == suffix).path.read_bytes()
        for count in (1, 5, 50, 50):
            flipped = bytearray(content)
            for _ in range(count):
                flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
            outcome = decode_clip(io.BytesIO(bytes(flipped)), name=f"a{suffix}")
            assert isinstance(outcome, (Clip, Rejection))
    assert capfd.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="there is no ffmpeg to compare with")
def test_f4_the_same_as_ffmpeg_makes(files):
    compared, faults = 0, {}
    for file in files:
        if file.ffmpeg is None:
            continue
        clip = decode_clip(file.path)
        found = []
        if file.frames is not None:
            found += _picture(clip.frames.numpy(), _ffmpeg_frames(file, clip))
        if file.mono is not None:
            filters = file.ffmpeg if file.ffmpeg.startswith("aformat") else "anull"
            mono = to_mono(clip.waveform, clip.channel_layout).numpy()
            theirs = _on_clock_of_pictures(file, _ffmpeg_sound(file, filters))
            found += _sound(mono, theirs, clip.sample_rate)
        compared += 1
        if found:
            faults[file.path.name] = found
    assert compared >= 40
    assert not faults


def _ffmpeg_frames(file: Stated, clip: Clip) -> np.ndarray:
    _, height, width = clip.shape
    inputs = ["-i", str(file.path)]
    filters = ["-vf", file.ffmpeg]
    if file.ffmpeg == OVER_WHITE:
        white = f"color=white:size={width}x{height}:rate={float(clip.fps)}"
        inputs = ["-f", "lavfi", "-i", white, *inputs]
        filters = ["-filter_complex", "[0][1]overlay=format=gbrp:shortest=1"]
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-fps_mode", "passthrough", "-")
    count = ("-frames:v", str(clip.num_frames))
    return np.frombuffer(_run(*inputs, *filters, *count, *raw), np.uint8).reshape(
        -1, height, width, 3
    )


def _on_clock_of_pictures(file: Stated, samples: np.ndarray) -> np.ndarray:
    """FFmpeg writes raw samples without the times at which the sound and the picture begin."""
    with av.open(str(file.path)) as container:
        sound = next(frame for frame in container.decode(audio=0))
        picture = container.streams.video[0] if container.streams.video else None
        start = picture.start_time * picture.time_base if picture else Fraction(0)
        late = round((sound.pts * sound.time_base - start) * sound.sample_rate)
    return np.pad(samples, ((0, 0), (max(late, 0), 0)))[:, max(-late, 0) :]


def _ffmpeg_sound(file: Stated, filters: str) -> np.ndarray:
    """The mean of a stereo mix that is not lowered: swresample does that to integers only."""
    raw = ("-af", f"aformat=sample_fmts=fltp,{filters}", "-f", "f32le", "-")
    samples = np.frombuffer(_run("-i", str(file.path), "-vn", *raw), np.float32)
    channels = 2 if filters.startswith("aformat") else 1
    return samples.reshape(-1, channels).mean(axis=1)[None]


def _run(*arguments: str) -> bytes:
    command = ("ffmpeg", "-v", "error", "-threads", "1", *arguments)
    return subprocess.run(command, check=True, capture_output=True).stdout


ONE = 1 << 16
QUARTERS = [(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)]
MIRRORED = [(-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0)]


def _write_with_matrix(path, frames, a, b, c, d) -> None:
    """Puts the matrix of ISO/IEC 14496-12, 8.3.2, into the header of the track by hand."""
    write_media(path, frames=frames, codec="png", pix_fmt="rgb24")
    data = bytearray(path.read_bytes())
    place = data.find(b"tkhd") + 4 + 40
    struct.pack_into(">9i", data, place, a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def _shown(frames: np.ndarray, a: int, b: int, c: int, d: int) -> np.ndarray:
    """Pixel by pixel, as the standard says: (x, y) to (a x + c y, b x + d y), moved into view."""
    _, height, width, _ = frames.shape
    places = {(a * x + c * y, b * x + d * y): (x, y) for x in range(width) for y in range(height)}
    left, top = (min(place[axis] for place in places) for axis in (0, 1))
    right, bottom = (max(place[axis] for place in places) for axis in (0, 1))
    shown = np.empty((len(frames), bottom - top + 1, right - left + 1, 3), dtype=np.uint8)
    for (to_x, to_y), (x, y) in places.items():
        shown[:, to_y - top, to_x - left] = frames[:, y, x]
    return shown


@pytest.mark.parametrize("matrix", QUARTERS + MIRRORED, ids=str)
def test_frames_come_out_as_the_matrix_of_the_file_shows_them(tmp_path, matrix):
    frames = scene(3, height=12, width=20)
    _write_with_matrix(tmp_path / "turned.mov", frames, *matrix)
    clip = decode_clip(tmp_path / "turned.mov")
    assert np.array_equal(clip.frames.numpy(), _shown(frames, *matrix))


def test_the_matrix_of_a_phone_held_upright_turns_to_the_right(tmp_path):
    """(0, 1, -1, 0): what was at the left of the sensor is at the top of the screen."""
    frames = np.zeros((2, 12, 20, 3), dtype=np.uint8)
    frames[:, :, 0] = 255
    _write_with_matrix(tmp_path / "phone.mov", frames, 0, 1, -1, 0)
    clip = decode_clip(tmp_path / "phone.mov")
    assert clip.shape == (2, 20, 12)
    assert clip.frames[:, 0].min() == 255 and clip.frames[:, 1:].max() == 0


@pytest.mark.parametrize("degrees", [10, 45, 89, -30])
def test_other_turns_are_refused(tmp_path, degrees):
    path = tmp_path / "askew.mp4"
    write_media(path, frames=scene(3), turn=lambda stream: stream.set_display_rotation(degrees))
    assert decode_clip(path).reason is Reason.ROTATED
