"""The gate: from an entry of a listing to the clip that it names."""

from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

from mmdiff.data.sources.listing import ClipEntry, Media
from mmdiff.data.sources.tar_member import TarMember
from mmdiff.loading.digest import sha256_of
from mmdiff.media.clip import Clip
from mmdiff.media.limits import Limits
from mmdiff.media.reader import decode_clip
from mmdiff.media.rejection import Reason, RejectedMedia, Rejection, rejected


def read_entry(entry: ClipEntry, limits: Limits, *, seconds: Fraction | None = None) -> Clip:
    """The clip or the span of it, with the sound that is given apart where there is one.

    Where the list gives a sha256, a file with another one is refused: H.264 and AAC have no
    checksum, and some flipped bits decode to another legal picture.

    seconds  as much from its beginning as is needed; None: all

    Raises RejectedMedia.
    """
    clip = _decoded(entry, entry.media, entry.sha256, limits, seconds)
    if entry.audio is None:
        return clip
    sound = _decoded(entry, entry.audio, entry.audio_sha256, limits, seconds)
    if sound.waveform is None:
        text = f"is given {entry.audio} as its sound, which holds none"
        raise rejected(entry.key, Reason.BAD_ROW, "decode", text)
    return replace(
        clip,
        waveform=sound.waveform,
        sample_rate=sound.sample_rate,
        channel_layout=sound.channel_layout,
        notes=(*clip.notes, *sound.notes),
    )


def _decoded(
    entry: ClipEntry, media: Media, sha256: str | None, limits: Limits, seconds: Fraction | None
) -> Clip:
    if isinstance(media, Path) and sha256 is not None and not _is_listed(media, sha256):
        text = f"is not the file that was listed: {media.name} has another sha256; fetch it again"
        raise rejected(entry.key, Reason.DAMAGED, "open", text)
    try:
        source = media.open() if isinstance(media, TarMember) else media
    except (OSError, ValueError) as error:
        text = f"is in a shard that cannot be opened: {error}"
        raise rejected(entry.key, Reason.BAD_SHARD, "open", text) from error
    try:
        found = decode_clip(
            source,
            name=entry.key if media is entry.media else f"{entry.key}: {media}",
            limits=limits,
            start_seconds=entry.start_seconds,
            end_seconds=entry.end_seconds,
            at_most_seconds=seconds,
        )
    finally:
        if not isinstance(source, Path):
            source.close()
    if isinstance(found, Rejection):
        raise RejectedMedia(found)
    return found


def _is_listed(path: Path, sha256: str) -> bool:
    try:
        status = path.stat()
        return not path.is_file() or _digest(path, status.st_size, status.st_mtime_ns) == sha256
    except OSError:
        return True  # what cannot be read is reported by whoever reads it


@lru_cache(maxsize=4096)
def _digest(path: Path, size: int, modified: int) -> str:
    """Of many spans of one long file only the first costs something."""
    return sha256_of(path)
