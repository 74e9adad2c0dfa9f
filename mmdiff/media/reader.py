"""Files to clips, through PyAV: a damaged file is an error, never a clip."""

from fractions import Fraction
from os import PathLike
from pathlib import Path

import av

from mmdiff.media.clip import Clip
from mmdiff.media.decoded_pictures import DecodedPictures
from mmdiff.media.decoded_sound import DecodedSound
from mmdiff.media.still import IMAGE_SUFFIXES, read_image

CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,wav,flac,mp3,ogg"
STRICT = {"err_detect": "explode"}  # without it a flipped bit decodes to garbage and no error
FENCE = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}  # no playlists, no network
DURATION_SLACK_SECONDS = Fraction(1, 4)


def read_clip(path: str | PathLike[str]) -> Clip:
    """Read the first picture and the first sound stream of a media file, whole; or an image.

    Frames of uneven length are put on the grid of the average rate by their timestamps. The sound
    starts with the picture: it is padded with silence, or cut, where the file offsets it.

    Raises FileNotFoundError or PermissionError, and ValueError naming a file that is damaged,
    truncated, too large for memory or no media.
    """
    path = Path(path)
    with path.open("rb"):  # the error of a missing or unreadable file, in the words of Python
        pass
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return read_image(path)
    try:
        return _read(path)
    except (av.FFmpegError, EOFError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise ValueError(f"{path} is damaged or not a media file: {reason}") from error


def _read(path: Path) -> Clip:
    with av.open(f"file:{path}", options={**STRICT, **FENCE}) as container:
        videos = [stream for stream in container.streams.video if not _is_cover(stream)]
        pictures = DecodedPictures(path, videos[0]) if videos else None
        audios = container.streams.audio
        sound = DecodedSound(path, audios[0]) if audios else None
        if pictures is None and sound is None:
            raise ValueError(f"{path} holds neither picture nor sound")
        streams: list[av.VideoStream | av.AudioStream] = [*videos[:1], *audios[:1]]
        _decode(container, streams, pictures, sound)
        _check_length(path, container, pictures, sound)
    return _assemble(path, pictures, sound)


def _decode(
    container: av.container.InputContainer,
    streams: list[av.VideoStream | av.AudioStream],
    pictures: DecodedPictures | None,
    sound: DecodedSound | None,
) -> None:
    for stream in streams:
        stream.codec_context.options = STRICT
    for packet in container.demux(*streams):
        for frame in packet.decode():
            if pictures is not None and isinstance(frame, av.VideoFrame):
                pictures.add(frame)
            elif sound is not None and isinstance(frame, av.AudioFrame):
                sound.add(frame)
    if sound is not None:
        sound.flush()


def _check_length(
    path: Path,
    container: av.container.InputContainer,
    pictures: DecodedPictures | None,
    sound: DecodedSound | None,
) -> None:
    if container.format.name == "mp3":  # its length is a guess
        return
    claimed = Fraction(container.duration or 0, av.time_base)
    end = max(half.end_seconds for half in (pictures, sound) if half is not None)
    if end + DURATION_SLACK_SECONDS < claimed:
        raise ValueError(
            f"{path} is truncated: {float(end):.2f} of {float(claimed):.2f} seconds could be read"
        )


def _assemble(path: Path, pictures: DecodedPictures | None, sound: DecodedSound | None) -> Clip:
    frames = None if pictures is None else pictures.frames()
    start = Fraction(0)
    if pictures is not None:
        start = pictures.start_seconds
    elif sound is not None:
        start = sound.start_seconds or start
    waveform = None if sound is None else sound.waveform(start)
    if frames is None and waveform is None:
        raise ValueError(f"{path} is empty: it holds no frames and no samples")
    sample_rate = None if sound is None or waveform is None else sound.sample_rate
    if pictures is None or frames is None:
        return Clip(waveform=waveform, sample_rate=sample_rate)
    return Clip(frames, pictures.rate, waveform, sample_rate)


def _is_cover(stream: av.VideoStream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)
