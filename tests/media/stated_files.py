"""Files that each state one thing about themselves, made by PyAV and PIL, with what is right."""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageCms

from mmdiff.media.rejection import Reason
from tests.media.corpus import FPS, RATE, patch, pings, png_of_nothing, scene, write_media

COUNT = 12
EXACT = {"codec": "ffv1", "pix_fmt": "bgr0"}
PCM = {"sound_codec": "pcm_s16le", "sound_format": "s16"}
FLOAT = {"frames": None, "sound_codec": "pcm_f32le", "sound_format": "flt"}
HALF_ROOT = 0.5**0.5
QUICK = {"deadline": "realtime", "cpu-used": "8", "crf": "6"}
X265 = {"preset": "ultrafast", "x265-params": "log-level=none:crf=4:pools=1"}


@dataclass(frozen=True)
class Stated:
    """A file, and what must become of it.

    note      that must be among the notes of its clip, or begin one; None where nothing is changed
    frames    frames height width 3, or None for a sound
    mono      1 samples
    seconds   when each of `frames` is shown, where they are of uneven length
    refused   the reason for one that is not read
    ffmpeg    filters with which FFmpeg makes the same; None: it has none for it
    """

    path: Path
    note: str | None = None
    frames: np.ndarray | None = None
    mono: np.ndarray | None = None
    fps: Fraction = Fraction(FPS)
    seconds: tuple[float, ...] | None = None
    refused: Reason | None = None
    ffmpeg: str | None = None


@dataclass
class Collected:
    folder: Path
    files: list[Stated] = field(default_factory=list)

    def add(self, name: str, **expected: object) -> Path:
        path = self.folder / name
        self.files.append(Stated(path, **expected))  # type: ignore[arg-type]
        return path


def stated_files(folder: Path) -> list[Stated]:
    made = Collected(folder)
    for make in (
        _pixel_aspects,
        _interlaced,
        _transfer_curves,
        _uneven_times,
        _transparent,
        _turned,
        _deep_and_palettes,
        _default_tracks,
        _channel_layouts,
        _over_full_scale,
        _animations,
        _containers,
        _kinds_not_read,
        _damaged_scales,
    ):
        make(made)
    return made.files


def _pixel_aspects(made: Collected) -> None:
    frames = scene(COUNT)
    for name, aspect, settings in (
        ("dvd.mkv", Fraction(16, 15), {"pix_fmt": "yuv444p"}),
        ("wide.mkv", Fraction(64, 45), {"codec": "libx265", "codec_options": X265}),
        ("hdv.mp4", Fraction(4, 3), {"pix_fmt": "yuv444p"}),
        ("ntsc.mov", Fraction(8, 9), {"pix_fmt": "yuv444p"}),
        ("anamorphic.avi", Fraction(2), {"codec": "mpeg4", "codec_options": {"q": "2"}}),
        ("broadcast.ts", Fraction(16, 11), {"codec_options": {"crf": "4"}}),
        ("dvd.vob", Fraction(4, 3), {"codec": "mpeg2video", "codec_options": {"q": "2"}}),
    ):
        path = made.add(
            name,
            note=f"square pixels from {aspect.numerator}:{aspect.denominator}",
            frames=_wider(frames, aspect),
            ffmpeg="scale=iw*sar:ih:flags=bicubic",
        )
        write_media(path, frames=frames, turn=_with_aspect(aspect), **settings)


def _with_aspect(aspect: Fraction) -> Callable[[av.VideoStream], None]:
    def state(stream: av.VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = aspect

    return state


def _wider(frames: np.ndarray, aspect: Fraction) -> np.ndarray:
    _, height, width, _ = frames.shape
    size = (int(width * aspect), height)
    return np.stack(
        [np.asarray(Image.fromarray(one).resize(size, Image.Resampling.BICUBIC)) for one in frames]
    )


def _interlaced(made: Collected) -> None:
    # Encoders of PyAV mark the lower field as the first, but for x264.
    fields = scene(2 * COUNT, height=64)
    for name, top_first, codec, options in (
        ("top_first.mp4", True, "libx264", {"crf": "2", "x264-params": "tff=1"}),
        ("bottom_first.mkv", False, "libx264", {"crf": "2", "x264-params": "bff=1"}),
        ("top_first.ts", True, "libx264", {"crf": "2", "x264-params": "tff=1"}),
        ("camcorder.mov", False, "prores_ks", {"flags": "+ildct"}),
        ("dvd.mpg", False, "mpeg2video", {"flags": "+ildct+ilme", "q": "2"}),
    ):
        first, second = (0, 1) if top_first else (1, 0)
        woven = fields[0::2].copy()
        woven[:, first::2], woven[:, second::2] = fields[0::2, first::2], fields[1::2, second::2]
        pix_fmt = {"prores_ks": "yuv422p10le", "mpeg2video": "yuv422p"}.get(codec, "yuv420p")
        settings = {"codec": codec, "codec_options": options, "pix_fmt": pix_fmt, "fps": 25}
        path = made.add(
            name,
            note="deinterlaced",
            frames=fields[0::2],
            fps=Fraction(25),
            ffmpeg="bwdif=mode=send_frame:deint=interlaced",
        )
        write_media(path, frames=woven, **settings)


def _transfer_curves(made: Collected) -> None:
    luma = np.linspace(64, 940, 96).round().astype(np.uint16)
    for name, curve, codec, options, note in (
        ("pq.mp4", 16, "libx264", {"crf": "2"}, "BT.709 from PQ"),
        ("hlg.mp4", 18, "libx264", {"crf": "2"}, "BT.709 from HLG"),
        ("pq.mkv", 16, "libx265", X265, "BT.709 from PQ"),
        ("phone.mov", 18, "libx265", X265, "BT.709 from HLG"),
        ("wide.mp4", 14, "libx264", {"crf": "2"}, "BT.709 from BT.2020"),
        ("linear.mkv", 8, "libx264", {"crf": "2"}, "BT.709 from linear light"),
    ):
        to_light = {16: _pq, 18: _hlg, 14: lambda signal: signal**2.4, 8: np.asarray}[curve]
        display = to_light((luma - 64) / 876).clip(0, 1) ** (1 / 2.4) * 255
        shown = np.repeat(np.repeat(display.round()[None, None, :, None], 64, 1), 3, 3)
        npl = ":npl=203" if curve in (16, 18) else ""
        path = made.add(
            name,
            note=note,
            frames=np.repeat(shown, COUNT, 0).astype(np.uint8),
            ffmpeg=f"zscale=t=linear{npl},format=gbrpf32le,zscale=p=bt709,tonemap=clip,"
            "zscale=t=bt709:m=bt709:r=tv,format=yuv444p",
        )
        _write_gray(path, luma, codec=codec, options=options, curve=curve)


def _pq(signal: np.ndarray) -> np.ndarray:
    """Light over that of diffuse white (SMPTE ST 2084; 203 cd/m2, BT.2408)."""
    root = signal ** (1 / 78.84375)
    return (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (
        1 / 0.1593017578125
    ) * (10_000 / 203)


def _hlg(signal: np.ndarray) -> np.ndarray:
    """As `_pq`, on a display of 1000 cd/m2 (BT.2100)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene_light = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return scene_light**1.2 * (1000 / 203)


def _write_gray(
    path: Path, luma: np.ndarray, *, codec: str, options: dict[str, str], curve: int
) -> None:
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = len(luma), 64, "yuv420p10le"
        for index in range(COUNT):
            frame = av.VideoFrame(len(luma), 64, "yuv420p10le")
            gray = np.full((32, len(luma) // 2), 512, np.uint16)
            planes = (np.repeat(luma[None], 64, 0), gray, gray)
            for plane, values in zip(frame.planes, planes, strict=True):
                padding = plane.line_size // 2 - values.shape[1]
                plane.update(np.pad(values, ((0, 0), (0, padding))).tobytes())
            for holder in (frame, stream.codec_context):
                holder.color_primaries, holder.color_trc, holder.colorspace = 9, curve, 9
                holder.color_range = 1
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def _uneven_times(made: Collected) -> None:
    ticks = 240  # a second
    chance = np.random.default_rng(5)
    drops = [time for time in range(0, 480, 8) if time % 80 not in (24, 32, 48)]
    free = np.cumsum(chance.integers(4, 30, 40)).tolist()
    slow = [0, 8, 16, 200, 208, 400]
    for kind, times in (("drops", drops), ("free", free), ("slow", slow)):
        times = [time - times[0] for time in times]
        for suffix, settings in ((".mkv", EXACT), (".mp4", {}), (".mov", {})):
            levels = np.linspace(20, 235, len(times)).astype(np.uint8)
            frames = np.broadcast_to(levels[:, None, None, None], (len(times), 48, 64, 3))
            path = made.add(
                f"{kind}{suffix}",
                note="uneven frames put on a grid of",
                frames=frames,
                seconds=tuple(time / ticks for time in times),
            )
            write_media(path, frames=frames, times=times, fps=ticks, **settings)


def _transparent(made: Collected) -> None:
    note = "transparency shown on white"
    chance = np.random.default_rng(0)
    pixels = chance.integers(0, 256, (48, 64, 4)).astype(np.uint8)
    pixels[:, :32, 3] = 255
    shown = _on_white(pixels)[None]
    image = Image.fromarray(pixels)
    image.save(made.add("rgba.png", note=note, frames=shown, ffmpeg=OVER_WHITE))
    image.save(made.add("rgba.webp", note=note, frames=shown), lossless=True, exact=True)
    image.save(made.add("rgba.tiff", note=note, frames=shown, ffmpeg=OVER_WHITE))
    gray = Image.fromarray(pixels[..., [0, 3]], "LA")
    image.putalpha(255)
    gray_shown = _on_white(pixels[..., [0, 0, 0, 3]])[None]
    gray.save(made.add("la.png", note=note, frames=gray_shown, ffmpeg=OVER_WHITE))
    image.save(made.add("opaque.png", frames=pixels[None, ..., :3]))
    flat = np.full((1, 48, 64, 3), 255, np.uint8)
    red = Image.new("RGB", (64, 48), (255, 0, 0))
    red.save(made.add("trns.png", note=note, frames=flat), transparency=(255, 0, 0))
    two = Image.fromarray((np.arange(64)[None] // 32).repeat(48, 0).astype(np.uint8), "P")
    two.putpalette([10, 20, 30, 200, 100, 50])
    half = np.concatenate([flat[:, :, :32], np.broadcast_to((200, 100, 50), (1, 48, 32, 3))], 2)
    half = half.astype(np.uint8)
    two.save(made.add("clear_palette.png", note=note, frames=half), transparency=0)
    two.save(made.add("clear_palette.gif", note=note, frames=half), transparency=0)
    moving = np.repeat(pixels[None], COUNT, 0)
    for name, codec, pix_fmt in (
        ("rgba.mov", "qtrle", "argb"),
        ("rgba.mkv", "ffv1", "bgra"),
        ("png.mov", "png", "rgba"),
        ("prores.mov", "prores_ks", "yuva444p10le"),
    ):
        smooth = moving.copy()
        smooth[..., :3] = scene(1)
        smooth[..., 3] = np.linspace(0, 255, 64).round()
        path = made.add(name, note=note, frames=_on_white(smooth), ffmpeg=OVER_WHITE)
        _write_alpha(path, smooth, codec=codec, pix_fmt=pix_fmt)
    path = made.add("clear_vp9.webm", note="transparency of its VP8 or VP9 not honoured")
    _write_alpha(path, moving, codec="libvpx-vp9", pix_fmt="yuva420p")


OVER_WHITE = "OVER_WHITE"  # not one filter: two inputs


def _on_white(pixels: np.ndarray) -> np.ndarray:
    colours, alpha = pixels[..., :3].astype(float), pixels[..., 3:] / 255
    return (colours * alpha + 255 * (1 - alpha)).round().astype(np.uint8)


def _write_alpha(path: Path, frames: np.ndarray, *, codec: str, pix_fmt: str) -> None:
    with av.open(str(path), "w") as output:
        options = QUICK if codec == "libvpx-vp9" else {}
        stream = output.add_stream(codec, rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], pix_fmt
        if codec == "libvpx-vp9":
            stream.metadata["alpha_mode"] = "1"
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgba")
            frame = frame.reformat(format=pix_fmt)
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def _turned(made: Collected) -> None:
    shown = scene(1)[0]
    stored = {
        2: shown[:, ::-1],
        3: shown[::-1, ::-1],
        4: shown[::-1],
        5: shown.swapaxes(0, 1),
        6: np.rot90(shown),
        7: shown[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(shown, -1),
    }
    for value, pixels in stored.items():
        exif = Image.Exif()
        exif[0x0112] = value
        image = Image.fromarray(np.ascontiguousarray(pixels))
        path = made.add(f"exif_{value}.jpg", frames=shown[None])
        image.save(path, exif=exif, quality=98, subsampling=0)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = np.ascontiguousarray(stored[6])
    Image.fromarray(turned).save(made.add("exif.png", frames=shown[None]), exif=exif)
    Image.fromarray(turned).save(made.add("exif.tif", frames=shown[None]), exif=exif)
    gray = Image.fromarray(turned[..., 0].astype(np.uint16) * 257)
    gray.save(made.add("exif_deep.png", frames=shown[None, ..., [0, 0, 0]]), exif=exif)
    for degrees in (90, 180, -90):
        frames = np.rot90(scene(COUNT), -degrees // 90, axes=(1, 2))

        def turn(stream: av.VideoStream, degrees: int = degrees) -> None:
            stream.set_display_rotation(degrees)

        path = made.add(f"phone_{degrees}.mp4", frames=scene(COUNT), ffmpeg="null")
        write_media(path, frames=frames, turn=turn)


def _deep_and_palettes(made: Collected) -> None:
    shown = scene(1)
    gray = shown[..., [0, 0, 0]]
    deep = Image.fromarray(shown[0, ..., 0].astype(np.uint16) * 257)
    deep.save(made.add("gray16.png", frames=gray, ffmpeg="null"))
    deep.save(made.add("gray16.tif", frames=gray, ffmpeg="null"))
    path = made.add("rgb48.png", frames=shown, ffmpeg="null")
    path.write_bytes(_png_of_48_bits(shown[0]))
    palette = Image.fromarray(shown[0]).quantize(64)
    shown_palette = np.asarray(palette.convert("RGB"))[None]
    for suffix in ("png", "bmp", "gif", "tif"):
        palette.save(made.add(f"palette.{suffix}", frames=shown_palette, ffmpeg="null"))
    inks = Image.fromarray(shown[0]).convert("CMYK")
    inks.save(made.add("cmyk.tif", frames=np.asarray(inks.convert("RGB"))[None]))
    black = Image.fromarray(shown[0]).convert("1")
    black.save(made.add("one_bit.png", frames=np.asarray(black.convert("RGB"))[None]))
    floats = Image.fromarray(shown[0, ..., 0].astype(np.float32) / 255)
    floats.save(made.add("float.tif", refused=Reason.UNSUPPORTED))
    for pix_fmt in ("yuv420p10le", "yuv422p10le", "yuv444p12le"):
        path = made.add(f"{pix_fmt}.mkv", frames=scene(COUNT), ffmpeg="null")
        codec = {"codec": "libx265", "codec_options": X265} if "12" in pix_fmt else {}
        write_media(path, frames=scene(COUNT), pix_fmt=pix_fmt, **codec)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    names = [("srgb.png", None, profile)]
    other = profile.replace("sRGB".encode("utf-16-be"), "wRGB".encode("utf-16-be"))
    names += [("wide.png", "colour profile not honoured: wRGB", other)]
    names += [("torn.png", "colour profile not honoured: damaged", other[:200])]
    for name, note, content in names:
        path = made.add(name, note=note, frames=shown)
        Image.fromarray(shown[0]).save(path, icc_profile=content)
    odd = made.add("fax.png", note="pixels of 203.2 x 101.6 to a unit used", frames=shown)
    Image.fromarray(shown[0]).save(odd, dpi=(203.2, 101.6))


def _png_of_48_bits(pixels: np.ndarray) -> bytes:
    codec = av.CodecContext.create("png", "w")
    codec.height, codec.width, codec.pix_fmt = *pixels.shape[:2], "rgb48be"
    codec.time_base = Fraction(1, FPS)
    deep = np.ascontiguousarray(pixels.astype(np.uint16) * 257)
    frame = av.VideoFrame.from_ndarray(deep, "rgb48le").reformat(format="rgb48be")
    frame.pts = 0
    return b"".join(bytes(packet) for packet in codec.encode(frame) + codec.encode(None))


def _default_tracks(made: Collected) -> None:
    default, none = av.stream.Disposition.default, av.stream.Disposition(0)
    quiet, loud = 0.2 * pings(1.0), pings(1.0)
    for suffix in ("mkv", "mov"):
        path = made.add(
            f"second_sound.{suffix}",
            note="audio track 2 of 2 used",
            frames=scene(FPS),
            mono=loud,
            ffmpeg="null",
        )
        _write_two(path, sounds=((quiet, none), (loud, default)), pictures=((scene(FPS), default),))
    dark = scene(FPS) // 3
    path = made.add(
        "second_picture.mkv", note="video track 2 of 2 used", frames=scene(FPS), mono=loud
    )
    pictures = ((dark, none), (scene(FPS), default))
    _write_two(path, sounds=((loud, default),), pictures=pictures)


def _write_two(path: Path, *, sounds: tuple, pictures: tuple) -> None:
    with av.open(str(path), "w") as output:
        streams = []
        for frames, mark in pictures:
            codec = "ffv1" if path.suffix == ".mkv" else "png"
            video = output.add_stream(codec, rate=FPS)
            video.height, video.width = frames.shape[1:3]
            video.pix_fmt = "bgr0" if codec == "ffv1" else "rgb24"
            video.disposition = mark
            streams.append((video, frames))
        for wave, mark in sounds:
            audio = output.add_stream("pcm_s16le", rate=RATE, layout="mono")
            audio.disposition = mark
            streams.append((audio, wave))
        for stream, content in streams:
            if stream.type == "video":
                for index, pixels in enumerate(content):
                    frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
                    frame = frame.reformat(format=stream.pix_fmt)
                    frame.pts, frame.time_base = index, Fraction(1, FPS)
                    output.mux(stream.encode(frame))
            else:
                samples = (content * 32767).astype(np.int16)
                frame = av.AudioFrame.from_ndarray(samples, "s16", "mono")
                frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))


SURROUND = HALF_ROOT * 0.5  # of a side or back channel in the mean of the stereo downmix
LAYOUTS = {  # gain of each channel, ITU-R BS.775-4, annex 4
    "stereo": (0.5, 0.5),
    "2.1": (0.5, 0.5, 0),
    "3.0": (0.5, 0.5, HALF_ROOT),
    "quad": (0.5, 0.5, SURROUND, SURROUND),
    "5.0": (0.5, 0.5, HALF_ROOT, SURROUND, SURROUND),
    "5.1": (0.5, 0.5, HALF_ROOT, 0, SURROUND, SURROUND),
    "5.1(side)": (0.5, 0.5, HALF_ROOT, 0, SURROUND, SURROUND),
    "7.1": (0.5, 0.5, HALF_ROOT, 0, SURROUND, SURROUND, SURROUND, SURROUND),
}


def _channel_layouts(made: Collected) -> None:
    time = np.arange(RATE) / RATE
    for layout, gains in LAYOUTS.items():
        tones = [np.sin(2 * np.pi * (200 + 130 * index) * time) for index in range(len(gains))]
        waves = 0.2 * np.stack(tones).astype(np.float32)
        mono = (np.array(gains, np.float32) @ waves)[None]
        path = made.add(f"{layout}.flac", mono=mono, ffmpeg="aformat=channel_layouts=stereo")
        write_media(path, waves=(waves,), layout=layout, sound_codec="flac", sound_format="s16")
    for name, codec, kind, layout in (
        ("film.mkv", "ac3", "fltp", "5.1(side)"),
        ("film.mp4", "aac", "fltp", "5.1"),
        ("film.wav", "pcm_s16le", "s16", "7.1"),
    ):
        gains = LAYOUTS[layout]
        time = np.arange(48_000) / 48_000
        tones = [np.sin(2 * np.pi * (200 + 130 * index) * time) for index in range(len(gains))]
        waves = 0.2 * np.stack(tones).astype(np.float32)
        waves[3] = 0  # an LFE keeps nothing above 120 Hz
        mono = (np.array(gains, np.float32) @ waves)[None]
        # FFmpeg before 6 keeps what an encoder puts in front of AC-3 in a matroska.
        mix = None if codec == "ac3" else "aformat=channel_layouts=stereo"
        path = made.add(name, mono=mono, ffmpeg=mix)
        write_media(
            path,
            waves=(waves,),
            rate=48_000,
            layout=layout,
            sound_codec=codec,
            sound_format=kind,
        )


def _over_full_scale(made: Collected) -> None:
    wave = pings(1.0) / np.abs(pings(1.0)).max()
    note = "sound turned down from"
    for peak in (1.5, 4.0, 40.0):
        path = made.add(f"peak_{peak:g}.wav", note=f"{note} {peak:g}", mono=wave)
        write_media(path, waves=(np.float32(peak) * wave,), **FLOAT)
    path = made.add("peak.mkv", note=f"{note} 2", mono=wave)
    write_media(path, waves=(2 * wave,), **FLOAT)
    path = made.add("integers.wav", refused=Reason.UNSUPPORTED)
    write_media(path, waves=(np.float32(32_768) * wave,), **FLOAT)


def _animations(made: Collected) -> None:
    frames = scene(COUNT)
    images = [Image.fromarray(one) for one in frames]
    rate = {"save_all": True, "append_images": images[1:], "duration": 100, "loop": 0}
    ten = Fraction(10)
    images[0].save(made.add("moving.png", frames=frames, fps=ten), **rate)
    images[0].save(made.add("moving.webp", frames=frames, fps=ten), lossless=True, **rate)
    coarse = [image.quantize(32) for image in images]
    shown = np.stack([np.asarray(image.convert("RGB")) for image in coarse])
    rate["append_images"] = coarse[1:]
    coarse[0].save(made.add("moving.gif", frames=shown, fps=ten), **rate)
    lengths = [100, 300, 100, 100, 500, 100, 100, 100, 100, 100, 100, 200]
    held = np.repeat(np.arange(COUNT), [length // 100 for length in lengths])
    path = made.add("uneven.gif", note="uneven frames put on a grid", frames=shown[held], fps=ten)
    coarse[0].save(path, **{**rate, "duration": lengths})
    rate["append_images"] = images[1:]
    pages = made.add("pages.tif", note=f"first page of {COUNT}", frames=frames[:1])
    images[0].save(pages, save_all=True, append_images=images[1:])


def _containers(made: Collected) -> None:
    frames, wave = scene(25), pings(25 / FPS)
    for name, codec, sound, container, start in (
        ("clip.ts", "libx264", "aac", "mpegts", {}),
        ("clip.mts", "libx264", "ac3", "mpegts", {"mpegts_m2ts_mode": "1"}),
        ("clip.mpg", "mpeg2video", "mp2", "mpeg", {}),
        ("clip.flv", "libx264", "aac", "flv", {}),
        ("clip.wmv", "wmv2", "wmav2", "asf", {}),
    ):
        rate = 48_000
        waves = (pings(25 / 25, rate=rate),)
        kind = "s16" if sound == "mp2" else "fltp"
        options = {"crf": "6"} if codec == "libx264" else {"q": "2"}
        # FFmpeg's WMA comes later by what its encoder puts in front.
        mono = np.pad(waves[0], ((0, 0), (2048, 0))) if sound == "wmav2" else waves[0]
        path = made.add(name, frames=frames, mono=mono, fps=Fraction(25), ffmpeg="null")
        write_media(
            path,
            frames=frames,
            fps=25,
            codec=codec,
            codec_options=options,
            waves=waves,
            rate=rate,
            sound_codec=sound,
            sound_format=kind,
            sound_bit_rate=96_000,
            container=container,
            options=start,
        )
    for suffix in ("aiff", "aif"):
        path = made.add(f"sound.{suffix}", mono=wave, ffmpeg="anull")
        write_media(
            path, waves=(wave,), sound_codec="pcm_s16be", sound_format="s16", container="aiff"
        )
    image = Image.fromarray(frames[0])
    image.save(made.add("image.tiff", frames=frames[:1], ffmpeg="null"))
    image.save(made.add("image.jfif", frames=frames[:1], ffmpeg="null"), "JPEG", quality=98)


def _kinds_not_read(made: Collected) -> None:
    def begins(name: str, content: bytes) -> None:
        made.add(name, refused=Reason.UNSUPPORTED).write_bytes(content + bytes(2000))

    path = made.add("tape.mxf", refused=Reason.UNSUPPORTED)
    write_media(path, frames=scene(COUNT), codec="mpeg2video", fps=25, codec_options={"q": "2"})
    path = made.add("sound.caf", refused=Reason.UNSUPPORTED)
    write_media(path, waves=(pings(),), sound_codec="pcm_s16le", sound_format="s16")
    begins("photo.heic", b"\0\0\0\x24ftypheic\0\0\0\0mif1heic")
    begins("photo.jpg", b"\0\0\0\x24ftypheic\0\0\0\0mif1heic")  # as phones name it
    begins("photo.jxl", b"\xff\x0a")
    begins("layers.psd", b"8BPS\0\1")
    begins("tune.mid", b"MThd\0\0\0\6")
    begins("sound.wv", b"wvpk")


def _damaged_scales(made: Collected) -> None:
    sound = io.BytesIO()
    write_media(sound, waves=(pings(),), container="wav", **PCM)
    rate = patch(sound.getvalue(), b"fmt ", 8, struct.pack("<I", 2**31 - 1))
    made.add("rate.wav", refused=Reason.DAMAGED).write_bytes(rate)
    video = io.BytesIO()
    write_media(video, frames=scene(COUNT), container="mp4")
    scale = patch(video.getvalue(), b"mdhd", 12, struct.pack(">I", 0))
    made.add("scale.mp4", refused=Reason.DAMAGED).write_bytes(scale)
    made.add("large.png", refused=Reason.TOO_LARGE).write_bytes(png_of_nothing(16_384))
