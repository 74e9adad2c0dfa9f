"""From an entry of a listing to the clip that it names, through the gate."""

from dataclasses import replace
from fractions import Fraction
from functools import lru_cache, partial
from pathlib import Path

from mmdiff.data.sources.clip_entry import ClipEntry, Media
from mmdiff.data.sources.tar_member import TarMember
from mmdiff.loading.digest import sha256_of
from mmdiff.media.clip import Clip
from mmdiff.media.limits import Limits
from mmdiff.media.reader import decode_clip
from mmdiff.media.rejection import Reason, Rejection


def read_entry(
    entry: ClipEntry, limits: Limits, *, seconds: Fraction | None = None
) -> Clip | Rejection:
    """The clip or the span of it, with the sound that is given apart where there is one.

    Where the list gives a sha256, a file with another one is refused: H.264 and AAC have no
    checksum, and some flipped bits decode to another legal picture.

    seconds  as much from its beginning as is needed; None: all
    """
    changed = _changed(entry, entry.media, entry.sha256)
    changed = changed or _changed(entry, entry.audio, entry.audio_sha256)
    clip = changed or _decode(entry, entry.media, limits, seconds)
    if entry.audio is None or isinstance(clip, Rejection):
        return clip
    sound = _decode(entry, entry.audio, limits, seconds)
    if isinstance(sound, Rejection):
        return sound
    if sound.waveform is None:
        text = f"{entry.key}: {entry.audio} is given as its sound and holds none"
        return Rejection(entry.key, Reason.BAD_ROW, "decode", text)
    return replace(
        clip,
        waveform=sound.waveform,
        sample_rate=sound.sample_rate,
        channel_layout=sound.channel_layout,
        notes=(*clip.notes, *sound.notes),
    )


def _decode(
    entry: ClipEntry, media: Media, limits: Limits, seconds: Fraction | None
) -> Clip | Rejection:
    name = entry.key if media is entry.media else f"{entry.key}: {media}"
    decode = partial(
        decode_clip,
        name=name,
        limits=limits,
        start_seconds=entry.start_seconds,
        end_seconds=entry.end_seconds,
        at_most_seconds=seconds,
    )
    if not isinstance(media, TarMember):
        return decode(media)
    try:
        stream = media.open()
    except (OSError, ValueError) as error:
        text = f"{entry.key}: its shard cannot be opened: {error}"
        return Rejection(entry.key, Reason.BAD_SHARD, "open", text)
    with stream:
        return decode(stream)


def _changed(entry: ClipEntry, media: Media | None, expected: str | None) -> Rejection | None:
    if expected is None or not isinstance(media, Path):
        return None
    try:
        size, modified = (status := media.stat()).st_size, status.st_mtime_ns
        if not media.is_file() or _digest(media, size, modified) == expected:
            return None
    except OSError:
        return None  # what cannot be read is told by whoever reads it
    text = f"{entry.key}: {media.name} is not the file that was listed: its sha256 is another one"
    return Rejection(entry.key, Reason.DAMAGED, "open", f"{text}; fetch it again")


@lru_cache(maxsize=4096)
def _digest(path: Path, size: int, modified: int) -> str:
    """Of many spans of one long file only the first costs something."""
    return sha256_of(path)
