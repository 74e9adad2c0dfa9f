"""A corpus of media files, good and bad, each with what must become of it, made by PyAV alone."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from PIL import Image

from mmdiff.media.rejection import Reason

FPS = 16
RATE = 16_000
NUM_FRAMES = 32


@dataclass(frozen=True)
class Truth:
    """What an accepted file must decode to.

    frames    frames height width 3, or None
    waveform  channels samples, or None
    """

    frames: np.ndarray | None = None
    waveform: np.ndarray | None = None
    fps: Fraction = Fraction(FPS)
    sample_rate: int = RATE


@dataclass(frozen=True)
class CorpusFile:
    """A file and what must become of it: its truth, or the reasons to refuse it."""

    path: Path
    truth: Truth | None = None
    reasons: tuple[Reason, ...] = ()
    name: str = field(default="")


def scene(num_frames: int = NUM_FRAMES, *, height: int = 48, width: int = 64) -> np.ndarray:
    """frames height width 3: a soft disc that swings over a ramp; no two frames are alike."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    frames = np.empty((num_frames, height, width, 3), dtype=np.uint8)
    for index in range(num_frames):
        centre = width * (0.5 + 0.35 * np.sin(index / 5))
        distance = np.hypot(columns - centre, rows - height * 0.4)
        disc = 1 / (1 + np.exp(distance - min(height, width) / 5))
        ramp = 60 + 80 * columns / max(width - 1, 1) + 40 * rows / max(height - 1, 1) + index
        for channel, peak in enumerate((230, 90, 40)):
            frames[index, :, :, channel] = ramp * (1 - disc) + peak * disc
    return frames


def pings(seconds: float = 2.0, *, rate: int = RATE, channels: int = 1) -> np.ndarray:
    """channels samples: a tone that dies away twice a second, quieter in later channels."""
    time = np.arange(round(seconds * rate)) / rate
    wave = 0.5 * np.sin(2 * np.pi * 440 * time) * np.exp(-3 * (time % 0.5))
    return np.stack([wave / (1 + index) for index in range(channels)]).astype(np.float32)


def write_media(
    target: Path | io.BytesIO,
    *,
    frames: np.ndarray | None = None,
    times: list[int] | None = None,
    fps: Fraction | int = FPS,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    codec_options: dict[str, str] | None = None,
    turn: Callable[[av.VideoStream], None] | None = None,
    waves: tuple[np.ndarray, ...] = (),
    rate: int = RATE,
    layout: str = "mono",
    sound_codec: str = "aac",
    sound_format: str = "fltp",
    sound_bit_rate: int | None = None,
    sound_start: float = 0.0,
    container: str | None = None,
    options: dict[str, str] | None = None,
) -> None:
    """`frames` shown at `times` (in frames), and one sound stream for each of `waves`."""
    name = str(target) if isinstance(target, Path) else target
    with av.open(name, "w", format=container, options=options or {}) as output:
        video = None
        if frames is not None:
            video = output.add_stream(codec, rate=fps, options=codec_options or {"crf": "8"})
            video.height, video.width = frames.shape[1:3]
            video.pix_fmt = pix_fmt
            video.codec_context.time_base = 1 / Fraction(fps)
            video.codec_context.bit_rate = 4_000_000
            video.codec_context.thread_count = 1
            if turn is not None:
                turn(video)
        audios = [output.add_stream(sound_codec, rate=rate, layout=layout) for _ in waves]
        for audio in audios:
            audio.codec_context.format = sound_format
            if sound_bit_rate is not None:
                audio.bit_rate = sound_bit_rate
            audio.codec_context.time_base = Fraction(1, rate)
            audio.codec_context.thread_count = 1
        reformatter = VideoReformatter()
        if video is not None:
            for index, pixels in enumerate(frames):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
                frame = reformatter.reformat(frame, format=pix_fmt, threads=1)
                frame.pts = index if times is None else times[index]
                frame.time_base = 1 / Fraction(fps)
                output.mux(video.encode(frame))
            output.mux(video.encode(None))
        for audio, wave in zip(audios, waves, strict=True):
            _write_sound(output, audio, wave, sound_start)


def _write_sound(output, audio: av.AudioStream, wave: np.ndarray, start_seconds: float) -> None:
    size = audio.codec_context.frame_size or 1024
    planar = audio.codec_context.format.is_planar
    kind = audio.codec_context.format.name.removesuffix("p")
    scaled = {"s16": wave * 32767, "s32": wave * (2**31 - 1), "flt": wave}[kind]
    samples = scaled.astype({"s16": np.int16, "s32": np.int32, "flt": np.float32}[kind])
    for first in range(0, wave.shape[1], size):
        chunk = samples[:, first : first + size]
        laid = chunk if planar else chunk.T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(laid), audio.codec_context.format.name, audio.layout.name
        )
        frame.sample_rate = audio.rate
        frame.pts = first + round(start_seconds * audio.rate)
        frame.time_base = Fraction(1, audio.rate)
        output.mux(audio.encode(frame))
    output.mux(audio.encode(None))


def png_of_nothing(side: int) -> bytes:
    """A black PNG of one bit a pixel: a bomb of a few kilobytes for each gigabyte."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(1 + side // 8)
    content = b"".join([packer.compress(row * 64) for _ in range(side // 64)]) + packer.flush()
    chunks = ((b"IHDR", header), (b"IDAT", content), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def png_in_quicktime(path: Path, *, side: int, stated: int) -> None:
    """A PNG of `side` in a stream whose header states another size."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("png", rate=FPS)
        stream.height = stream.width = 64
        stream.pix_fmt = "rgb24"
        packet = av.Packet(png_of_nothing(side))
        packet.stream, packet.pts, packet.dts = stream, 0, 0
        packet.time_base, packet.is_keyframe = Fraction(1, FPS), True
        output.mux(packet)
    path.write_bytes(patch(path.read_bytes(), b"png ", 24, struct.pack(">HH", stated, stated)))


def claim_samples(data: bytes, count: int) -> bytes:
    """An mp4 whose first stream claims `count` frames of one byte, in `count` ticks of time."""
    patched = bytearray(data)
    sizes, times, chunks = (patched.find(box) for box in (b"stsz", b"stts", b"stsc"))
    struct.pack_into(">II", patched, sizes + 8, 1, count)
    struct.pack_into(">I", patched, times + 12, count)
    struct.pack_into(">I", patched, chunks + 16, count)
    return bytes(patched)


def patch(data: bytes, box: bytes, offset: int, content: bytes) -> bytes:
    """With `content` put `offset` bytes behind the name of the first such box."""
    place = data.find(box) + len(box) + offset
    return data[:place] + content + data[place + len(content) :]


@dataclass
class Corpus:
    """Collects files in one folder."""

    folder: Path
    files: list[CorpusFile] = field(default_factory=list)

    def accept(self, name: str, truth: Truth) -> Path:
        path = self.folder / name
        self.files.append(CorpusFile(path, truth, name=name))
        return path

    def refuse(self, name: str, *reasons: Reason, content: bytes | None = None) -> Path:
        path = self.folder / name
        if content is not None:
            path.write_bytes(content)
        self.files.append(CorpusFile(path, None, reasons, name=name))
        return path

    def good(self, name: str, truth: Truth | None = None, **settings: object) -> Path:
        """A file of the scene with pings, or as `settings` say."""
        frames = settings.setdefault("frames", scene())
        waves = settings.setdefault("waves", (pings(),))
        rate = settings.get("rate", RATE)
        if truth is None:
            truth = Truth(frames, waves[0] if waves else None, sample_rate=rate)
        path = self.accept(name, truth)
        write_media(path, **settings)
        return path


def make_corpus(folder: Path) -> list[CorpusFile]:
    corpus = Corpus(folder)
    base = corpus.good("plain.mp4")
    _containers_and_codecs(corpus)
    _cut_off(corpus)
    _no_media(corpus, base.read_bytes())
    _no_files(corpus, base)
    _streams(corpus)
    _times(corpus)
    _pictures(corpus)
    _sound(corpus)
    _lying_headers(corpus, base.read_bytes())
    _names(corpus, base)
    _images(corpus)
    return corpus.files


def _containers_and_codecs(corpus: Corpus) -> None:
    pcm = {"sound_codec": "pcm_s16le", "sound_format": "s16"}
    corpus.good("plain.mov", **pcm)
    corpus.good("faststart.mp4", options={"movflags": "+faststart"})
    corpus.good("fragments.mp4", options={"movflags": "+frag_keyframe+empty_moov"})
    corpus.good("plain.mkv", **pcm)
    corpus.good("bidirectional.mkv", codec_options={"crf": "8", "bf": "3", "g": "12"}, **pcm)
    corpus.good(
        "lossless.mkv", codec="ffv1", pix_fmt="bgr0", sound_codec="flac", sound_format="s16"
    )
    opus = {"sound_codec": "libopus", "sound_format": "flt", "rate": 48_000}
    opus["waves"] = (pings(rate=48_000),)
    fast = {"deadline": "realtime", "cpu-used": "8", "crf": "10"}
    corpus.good("vp9.webm", codec="libvpx-vp9", codec_options=fast, **opus)
    corpus.good("vp8.webm", codec="libvpx", codec_options=fast, **opus)
    corpus.good("plain.avi", codec="mpeg4", **pcm)
    corpus.good("bidirectional.avi", codec="mpeg4", codec_options={"bf": "2"}, **pcm)
    corpus.good("h264.avi", codec_options={"crf": "8", "bf": "3"}, **pcm)
    corpus.good("mjpeg.avi", codec="mjpeg", pix_fmt="yuvj420p", **pcm)
    quiet = {"preset": "ultrafast", "x265-params": "log-level=none:crf=10:pools=1"}
    corpus.good("hevc.mp4", codec="libx265", codec_options=quiet)
    corpus.good("prores.mov", codec="prores_ks", pix_fmt="yuv422p10le", **pcm)
    sound = Truth(waveform=pings())
    for name, codec, kind in (
        ("sound.wav", "pcm_s16le", "s16"),
        ("float.wav", "pcm_f32le", "flt"),
        ("sound.flac", "flac", "s16"),
        ("sound.ogg", "flac", "s16"),
        ("sound.m4a", "aac", "fltp"),
        ("sound.mp3", "libmp3lame", "fltp"),
    ):
        corpus.good(name, sound, frames=None, sound_codec=codec, sound_format=kind)
    matroska = corpus.folder / "plain.mkv"
    path = corpus.accept("matroska.mp4", Truth(scene(), pings()))
    path.write_bytes(matroska.read_bytes())


def _cut_off(corpus: Corpus) -> None:
    pictures = ("plain.mp4", "plain.mkv", "vp9.webm", "plain.avi", "h264.avi")
    for name in (*pictures, "sound.wav", "sound.flac"):
        data = (corpus.folder / name).read_bytes()
        for percent in (10, 50, 90):
            content = data[: len(data) * percent // 100]
            reasons = (Reason.TRUNCATED, Reason.DAMAGED)
            corpus.refuse(f"cut_{percent}_{name}", *reasons, content=content)
    data = (corpus.folder / "faststart.mp4").read_bytes()
    for percent in (10, 50, 90, 99):
        content = data[: len(data) * percent // 100]
        corpus.refuse(f"cut_{percent}_faststart.mp4", Reason.TRUNCATED, content=content)


def _no_media(corpus: Corpus, good: bytes) -> None:
    chance = np.random.default_rng(0)
    picture = Image.fromarray(scene(1)[0])
    encoded = {}
    for kind in ("PNG", "JPEG", "GIF"):
        buffer = io.BytesIO()
        picture.save(buffer, kind)
        encoded[kind] = buffer.getvalue()
    corpus.refuse("zero.mp4", Reason.EMPTY, content=b"")
    corpus.refuse("zero.wav", Reason.EMPTY, content=b"")
    corpus.refuse("one_byte.mp4", Reason.NOT_MEDIA, content=b"\0")
    corpus.refuse("random.mp4", Reason.NOT_MEDIA, content=chance.bytes(9000))
    corpus.refuse("zeros.mp4", Reason.NOT_MEDIA, content=bytes(9000))
    corpus.refuse("page.mp4", Reason.NOT_MEDIA, content=b"<html><body>404</body></html>" * 99)
    corpus.refuse("text.mp4", Reason.NOT_MEDIA, content=b"a caption, not a clip\n" * 99)
    corpus.refuse("archive.mp4", Reason.NOT_MEDIA, content=b"PK\x03\x04" + chance.bytes(5000))
    for kind, content in encoded.items():
        corpus.refuse(f"{kind.lower()}.mp4", Reason.NOT_MEDIA, content=content)
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nplain.mp4\n#EXT-X-ENDLIST\n"
    corpus.refuse("playlist.mp4", Reason.NOT_MEDIA, content=playlist)
    corpus.refuse("playlist.m3u8", Reason.NOT_MEDIA, content=playlist)
    concat = b"ffconcat version 1.0\nfile plain.mp4\n"
    corpus.refuse("concat.mp4", Reason.NOT_MEDIA, content=concat)
    corpus.refuse("concat.ffconcat", Reason.NOT_MEDIA, content=concat)
    session = b"v=0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
    corpus.refuse("session.sdp", Reason.NOT_MEDIA, content=session)
    head = Reason.DAMAGED, Reason.TRUNCATED
    corpus.refuse("head_only.mp4", *head, content=good[:40])
    corpus.refuse("ebml_only.mkv", *head, content=b"\x1aE\xdf\xa3" + chance.bytes(400))
    corpus.refuse("riff_only.avi", *head, content=b"RIFF\xff\xff\0\0AVI " + chance.bytes(400))
    damaged = bytearray(good)
    for place in chance.integers(64, 9000, 400):
        damaged[place] ^= 255
    corpus.refuse("noise_inside.mp4", Reason.DAMAGED, content=bytes(damaged))


def _no_files(corpus: Corpus, good: Path) -> None:
    corpus.refuse("nothing.mp4", Reason.MISSING)
    corpus.refuse("dangling.mp4", Reason.MISSING).symlink_to(corpus.folder / "gone.mp4")
    corpus.refuse("looping.mp4", Reason.UNREADABLE).symlink_to(corpus.folder / "looping.mp4")
    corpus.refuse("folder.mp4", Reason.UNREADABLE).mkdir()
    corpus.refuse("below.mp4/clip.mp4", Reason.MISSING)
    (corpus.folder / "below.mp4").write_bytes(good.read_bytes())
    os.mkfifo(corpus.refuse("pipe.mp4", Reason.UNREADABLE))
    corpus.refuse("device.mp4", Reason.UNREADABLE).symlink_to("/dev/zero")
    corpus.refuse("n" * 300 + ".mp4", Reason.UNREADABLE)
    if os.geteuid() != 0:  # root reads everything
        locked = corpus.refuse("locked.mp4", Reason.UNREADABLE, content=good.read_bytes())
        locked.chmod(0)


def _streams(corpus: Corpus) -> None:
    corpus.good("silent_movie.mp4", waves=())
    corpus.good("sound_only.mp4", Truth(waveform=pings()), frames=None)
    two = (pings(), 0.1 * pings())
    corpus.good("two_sounds.mkv", Truth(scene(), two[0]), waves=two)
    corpus.good("no_samples.mkv", Truth(scene()), waves=(np.zeros((1, 0), np.float32),))
    nothing = corpus.refuse("no_frames.mkv", Reason.DAMAGED)
    write_media(nothing, frames=scene()[:0], waves=(pings(),))
    corpus.good("long_sound.mkv", waves=(pings(4.0),))
    corpus.good("short_sound.mkv", waves=(pings(1.0),))
    corpus.good("one_frame.mp4", Truth(scene(1)), frames=scene(1), waves=())
    data = (corpus.folder / "plain.mp4").read_bytes()
    corpus.accept("tail.mp4", Truth(scene(), pings())).write_bytes(data + bytes(1000))
    grown = np.concatenate([scene(), scene()])
    path = corpus.refuse("changes_size.mkv", Reason.UNSUPPORTED, Reason.DAMAGED)
    _write_two_sizes(path, grown[:8])


def _write_two_sizes(path: Path, frames: np.ndarray) -> None:
    """Two codings of different size, one behind the other, in the stream of the first."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg4", rate=FPS)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        for part, scale in ((frames[:4], 1), (frames[4:], 2)):
            codec = av.CodecContext.create("mpeg4", "w")
            codec.height, codec.width = scale * frames.shape[1], scale * frames.shape[2]
            codec.pix_fmt, codec.time_base = "yuv420p", Fraction(1, FPS)
            for index, pixels in enumerate(part):
                frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(
                    width=codec.width, height=codec.height, format="yuv420p"
                )
                frame.pts, frame.time_base = index + 4 * (scale - 1), Fraction(1, FPS)
                for packet in codec.encode(frame):
                    packet.stream = stream
                    output.mux(packet)


def _times(corpus: Corpus) -> None:
    pcm = {"sound_codec": "pcm_s16le", "sound_format": "s16"}
    late = np.pad(pings(), ((0, 0), (RATE // 2, 0)))
    corpus.good("late_sound.mkv", Truth(scene(), late), sound_start=0.5, **pcm)
    corpus.good("late_sound.mp4", Truth(scene(), late), sound_start=0.5)
    later = [index + 8 for index in range(NUM_FRAMES)]
    early = pings()[:, RATE // 2 :]
    corpus.good("late_picture.mkv", Truth(scene(), early), times=later, **pcm)
    corpus.good("late_picture.mp4", Truth(scene(), early), times=later)
    exact = {"codec": "ffv1", "pix_fmt": "bgr0"}
    doubled = [index - index % 2 for index in range(NUM_FRAMES)]
    times = [index + index // 8 * 3 for index in range(NUM_FRAMES)]
    shown = [max(i for i, time in enumerate(times) if time <= tick) for tick in range(41)]
    corpus.good("uneven.mkv", Truth(scene()[shown], pings()), times=times, **pcm)
    shown = [index - index % 2 + 1 for index in range(NUM_FRAMES - 1)]
    corpus.good("doubled.mkv", Truth(scene()[shown]), times=doubled, waves=(), **exact)
    fast = scene(100)
    truth = Truth(fast, fps=Fraction(1000))
    corpus.good("thousand.mp4", truth, frames=fast, fps=1000, waves=())
    ntsc = Fraction(30_000, 1001)
    corpus.good("ntsc.mp4", Truth(scene(), fps=ntsc), fps=ntsc, waves=())
    trimmed = corpus.good("trimmed.mp4", Truth(scene()[8:]), waves=())
    _trim_by_edit_list(trimmed)


def _trim_by_edit_list(path: Path) -> None:
    """As a phone does that cuts a clip without coding it anew: from its second half second on."""
    data = path.read_bytes()
    place = data.find(b"mdhd") + 4
    scale = struct.unpack_from(">I", data, place + 12)[0]
    edit = data.find(b"elst") + 4
    segment, media = struct.unpack_from(">II", data, edit + 8)
    movie_scale = struct.unpack_from(">I", data, data.find(b"mvhd") + 4 + 12)[0]
    content = struct.pack(">II", segment - movie_scale // 2, media + scale // 2)
    path.write_bytes(patch(data, b"elst", 8, content))


def _pictures(corpus: Corpus) -> None:
    exact = {"codec": "png", "pix_fmt": "rgb24", "waves": ()}
    for height, width in ((1, 64), (64, 1), (1, 1), (47, 63), (2, 2), (33, 200)):
        corpus.good(f"size_{height}_{width}.mov", frames=scene(height=height, width=width), **exact)
    for pix_fmt in ("yuv420p10le", "yuv444p", "yuv422p"):
        corpus.good(f"{pix_fmt}.mp4", pix_fmt=pix_fmt)
    corpus.good("alpha.mov", codec="qtrle", pix_fmt="argb", waves=())
    corpus.good("alpha.mkv", codec="ffv1", pix_fmt="bgra", waves=())
    for degrees in (90, 180, -90):
        stored = np.rot90(scene(), -degrees // 90, axes=(1, 2))

        def turn(stream: av.VideoStream, degrees: int = degrees) -> None:
            stream.set_display_rotation(degrees)

        corpus.good(f"turned_{degrees}.mp4", Truth(scene()), frames=stored, turn=turn, waves=())
    path = corpus.refuse("turned_30.mp4", Reason.ROTATED)
    write_media(path, frames=scene(), turn=lambda stream: stream.set_display_rotation(30))


def _sound(corpus: Corpus) -> None:
    pcm = {"sound_codec": "pcm_s16le", "sound_format": "s16"}
    for rate in (8000, 44_100, 96_000):
        wave = pings(rate=rate)
        corpus.good(f"rate_{rate}.mkv", waves=(wave,), rate=rate, **pcm)
        corpus.good(f"rate_{rate}.mp4", waves=(wave,), rate=rate)
    for layout, channels in (("stereo", 2), ("5.1", 6), ("7.1", 8)):
        waves = (pings(channels=channels),)
        corpus.good(f"sound_{layout}.mkv", waves=waves, layout=layout, **pcm)
    many = corpus.refuse("sound_16.wav", Reason.UNSUPPORTED)
    write_media(many, waves=(pings(channels=16),), layout="hexadecagonal", **pcm)
    for name, value in (("nan", np.nan), ("infinite", np.inf)):
        wave = pings()
        wave[0, 500] = value
        path = corpus.refuse(f"{name}.wav", Reason.DAMAGED)
        write_media(path, waves=(wave,), sound_codec="pcm_f32le", sound_format="flt")
    loud = Truth(waveform=pings() / np.abs(pings()).max())
    floats = {"sound_codec": "pcm_f32le", "sound_format": "flt"}
    corpus.good("loud.wav", loud, frames=None, waves=(4 * pings(),), **floats)
    data = (corpus.folder / "sound.wav").read_bytes()
    unknown = patch(patch(data, b"RIFF", 0, b"\xff" * 4), b"data", 0, b"\xff" * 4)
    corpus.accept("streamed.wav", Truth(waveform=pings())).write_bytes(unknown)


def _lying_headers(corpus: Corpus, good: bytes) -> None:
    huge = patch(good, b"avc1", 24, struct.pack(">HH", 32768, 32768))
    corpus.accept("huge_header.mp4", Truth(scene(), pings())).write_bytes(huge)  # frames are small
    png_in_quicktime(corpus.refuse("huge.mov", Reason.TOO_LARGE), side=32768, stated=32768)
    lie = corpus.refuse("huge_inside.mov", Reason.DAMAGED, Reason.TOO_LARGE)
    png_in_quicktime(lie, side=32768, stated=64)
    corpus.refuse(
        "million.mp4", Reason.DAMAGED, Reason.TOO_LONG, content=claim_samples(good, 10**6)
    )
    corpus.refuse("billion.mp4", Reason.DAMAGED, content=claim_samples(good, 2 * 10**9))
    matroska = (corpus.folder / "plain.mkv").read_bytes()
    eight_hours = patch(matroska, b"\x44\x89\x88", 0, struct.pack(">d", 8 * 3600 * 1000.0))
    corpus.refuse("eight_hours.mkv", Reason.TOO_LONG, content=eight_hours)
    one_hour = patch(matroska, b"\x44\x89\x88", 0, struct.pack(">d", 3600 * 1000.0))
    corpus.refuse("one_hour.mkv", Reason.TRUNCATED, content=one_hour)


def _names(corpus: Corpus, good: Path) -> None:
    truth = Truth(scene(), pings())
    for name in ("café 日本.mp4", "two  spaces .mp4", "line\nbreak.mp4", "-i.mp4", "100%d.mp4"):
        corpus.accept(name, truth).write_bytes(good.read_bytes())
    corpus.accept("http:__host_clip.mp4", truth).write_bytes(good.read_bytes())
    corpus.accept(os.fsdecode(b"not_utf8_\xff.mp4"), truth).write_bytes(good.read_bytes())
    deep = corpus.folder.joinpath(*["d" * 100] * 5)
    deep.mkdir(parents=True)
    path = corpus.accept(str((deep / "deep.mp4").relative_to(corpus.folder)), truth)
    path.write_bytes(good.read_bytes())
    corpus.accept("link.mp4", truth).symlink_to(good)


def _images(corpus: Corpus) -> None:
    pixels = scene(1)
    truth = Truth(pixels)
    for suffix in ("png", "bmp", "jpg", "webp"):
        options = {"quality": 98} if suffix in ("jpg", "webp") else {}
        Image.fromarray(pixels[0]).save(corpus.accept(f"image.{suffix}", truth), **options)
    turned = Image.fromarray(np.rot90(pixels[0]))  # a quarter to the left; 6: turn it to the right
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(corpus.accept("exif.jpg", truth), exif=exif, quality=98)
    gray = pixels[0, :, :, 0]
    deep = Image.fromarray(gray.astype(np.uint16) * 257)
    deep.save(corpus.accept("deep.png", Truth(np.repeat(gray[None, :, :, None], 3, axis=3))))
    data = (corpus.folder / "image.jpg").read_bytes()
    corpus.refuse("cut.jpg", Reason.DAMAGED, content=data[: len(data) // 2])
    corpus.refuse("text.png", Reason.NOT_MEDIA, content=b"no image" * 99)
    corpus.refuse("bomb.png", Reason.TOO_LARGE, content=png_of_nothing(32768))
