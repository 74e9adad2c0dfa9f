"""One clip of a listing, decoded whole, measured and fitted: a row of the report."""

import time
from dataclasses import replace

from mmdiff.data.checking.loudness import loudness_of
from mmdiff.data.checking.report import ClipReport
from mmdiff.data.files.fit_clip import fit_clip
from mmdiff.data.files.listed_clips import ListedClips
from mmdiff.data.files.read_entry import read_entry
from mmdiff.media.clip import Clip
from mmdiff.media.rejection import Rejection


def check_clip(clips: ListedClips, index: int) -> ClipReport:
    """What becomes of item `index`."""
    if index >= len(clips.entries):
        return ClipReport.dropped(clips.listing.rejections[index - len(clips.entries)])
    entry, began = clips.entries[index], time.perf_counter()
    clip = read_entry(entry, clips.limits)
    if isinstance(clip, Rejection):
        row = ClipReport.dropped(clip)
        return replace(row, file=entry.key, seconds=_since(began))
    fitted = fit_clip(clip, clips.spec_of(index), caption=entry.caption, key=entry.key)
    seconds = _since(began)
    if isinstance(fitted, Rejection):
        return replace(_measured(clip, ClipReport.dropped(fitted)), seconds=seconds)
    told = (*entry.notes, *fitted.adaptations)
    row = ClipReport(entry.key, "adapted" if told else "kept", adaptations=told)
    return replace(_measured(clip, row), seconds=seconds)


def _since(began: float) -> float:
    return round(time.perf_counter() - began, 4)


def _measured(clip: Clip, row: ClipReport) -> ClipReport:
    """The row with what the clip is."""
    size = 0
    if clip.frames is not None:
        size += clip.frames.nbytes
        num_frames, height, width = clip.shape
        row = replace(
            row,
            num_frames=num_frames,
            frame_rate=round(float(clip.fps), 4) if num_frames > 1 else None,
            height=height,
            width=width,
            video_seconds=round(float(clip.video_seconds), 4) if num_frames > 1 else 0.0,
        )
    if clip.waveform is not None and clip.sample_rate is not None:
        size += clip.waveform.nbytes
        loudness = loudness_of(clip.waveform, clip.sample_rate)
        row = replace(
            row,
            audio_seconds=round(float(clip.audio_seconds), 4),
            sample_rate=clip.sample_rate,
            channels=clip.waveform.shape[0],
            loudness=round(loudness.value, 2),
            loudness_unit=loudness.unit,
        )
    return replace(row, decoded_bytes=size)
