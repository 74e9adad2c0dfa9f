"""Every clip of a listing, decoded whole, measured and fitted: the rows of the report."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from mmdiff.data.check.loudness import loudness_of
from mmdiff.data.check.report import ClipReport
from mmdiff.data.fit_clip import fit_clip
from mmdiff.data.gate import read_entry
from mmdiff.data.listed_clips import ListedClips
from mmdiff.data.loader import ReportingLoader
from mmdiff.data.worker_status import ReadingFailed
from mmdiff.media.clip import Clip
from mmdiff.media.rejection import Reason, RejectedMedia, Rejection
from mmdiff.text.tokenizer import caption_length, num_caption_tokens

GRACE_SECONDS = 10.0  # beyond the deadline that the gate keeps itself


def check_clips(clips: ListedClips, *, num_workers: int) -> Iterator[tuple[int, ClipReport]]:
    """A row for every item, with its index; in this process where `num_workers` is 0. A file that
    kills or blocks a worker is a row too."""
    todo = list(range(len(clips)))
    timeout = 2 * clips.limits.max_seconds + GRACE_SECONDS  # picture and sound
    workers = min(num_workers, len(todo))
    while todo:
        loader = ReportingLoader(
            _Rows(clips), [[index] for index in todo], num_workers=workers, timeout_seconds=timeout
        )
        done = set()
        try:
            for index, row in loader:
                done.add(index)
                yield index, row
        except ReadingFailed as error:
            if error.index is None:
                raise
            done.add(error.index)
            yield error.index, _lost(clips.name_of(error.index), str(error))
        # what the others had read ahead went with the loader, and is read again
        todo = [index for index in todo if index not in done]


class _Rows:
    """The rows of a listing, for a loader."""

    def __init__(self, clips: ListedClips) -> None:
        self.clips, self.name_of = clips, clips.name_of

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> tuple[int, ClipReport]:
        return index, check_clip(self.clips, index)

    def collate(self, items: Sequence[Any]) -> Any:
        return items[0]


def check_clip(clips: ListedClips, index: int) -> ClipReport:
    """What becomes of item `index`."""
    if index >= len(clips.entries):
        return ClipReport.dropped(clips.listing.rejections[index - len(clips.entries)])
    entry, began = clips.entries[index], time.perf_counter()
    clip = None
    try:
        clip = read_entry(entry, clips.limits)
        fitted = fit_clip(clip, clips.spec_of(index), caption=entry.caption, key=entry.key)
        done = (*entry.notes, *fitted.adaptations)
        row = ClipReport(entry.key, "adapted" if done else "kept", adaptations=done)
    except RejectedMedia as error:
        row = replace(ClipReport.dropped(error.rejection), file=entry.key)
    row = replace(row, seconds=round(time.perf_counter() - began, 4))
    return row if clip is None else replace(row, **_measured(clip))


def with_cut_caption(row: ClipReport, caption: str, tokenizer: Any) -> ClipReport:
    """The row of a clip, which says so where its caption is cut by `tokenizer`, of transformers."""
    count, longest = num_caption_tokens(tokenizer, caption), caption_length(tokenizer)
    if row.status == "dropped" or count <= longest:
        return row
    phrase = f"caption cut {count} -> {longest} tokens"
    return replace(row, status="adapted", adaptations=(*row.adaptations, phrase))


def _measured(clip: Clip) -> dict[str, Any]:
    """What the clip is, as fields of a row."""
    found: dict[str, Any] = {}
    size = 0
    if clip.frames is not None:
        num_frames, height, width = clip.shape
        size += clip.frames.nbytes
        found |= {"num_frames": num_frames, "height": height, "width": width, "video_seconds": 0.0}
        if num_frames > 1:
            found["frame_rate"] = round(float(clip.fps), 4)
            found["video_seconds"] = round(float(clip.video_seconds), 4)
    if clip.waveform is not None and clip.sample_rate is not None:
        size += clip.waveform.nbytes
        loudness = loudness_of(clip.waveform, clip.sample_rate)
        found |= {
            "audio_seconds": round(float(clip.audio_seconds), 4),
            "sample_rate": clip.sample_rate,
            "channels": clip.waveform.shape[0],
            "loudness": round(loudness.value, 2),
            "loudness_unit": loudness.unit,
        }
    return {"decoded_bytes": size, **found}


def _lost(name: str, error: str) -> ClipReport:
    if "timed out" in error:
        reason, fault = Reason.TOO_SLOW, "does not come to an end in time; encode it anew"
    else:
        reason = Reason.DAMAGED
        fault = f"ended the process that read it; leave it out or encode it anew ({error})"
    return ClipReport.dropped(Rejection(name, reason, "decode", f"{name} {fault}"))
