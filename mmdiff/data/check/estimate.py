"""What a data set will cost: the latent cache on disk, the memory of the loader, time per batch."""

from dataclasses import dataclass
from math import prod

from mmdiff.data.check.report import ClipReport, DataReport
from mmdiff.data.clip_spec import ClipSpec
from mmdiff.data.listed_clips import BEHIND_SECONDS
from mmdiff.values.shapes import LatentGrid

BYTES_OF_A_LATENT = 2  # float16
PREFETCHED = 2  # batches ahead of each worker


@dataclass(frozen=True)
class DataEstimate:
    """Computed, but for the time, which is that of the check itself.

    cache_bytes     latents of all usable clips; None where `cache_problem` says why there are none
    batch_bytes     one batch of frames and sound
    loader_bytes    all batches under way and the largest clips being decoded
    batch_seconds   until the loader has made a batch, at best; None where nothing was decoded
    """

    cache_bytes: int | None
    cache_problem: str
    batch_bytes: int
    loader_bytes: int
    batch_seconds: float | None


def estimated(
    report: DataReport,
    spec: ClipSpec,
    *,
    batch_size: int,
    num_workers: int,
    grid: LatentGrid | None = None,
) -> DataEstimate:
    """For training with `batch_size` and `num_workers`; `grid` is that of the autoencoders."""
    rows, processes = report.usable(), max(num_workers, 1)
    frames = 3 * spec.num_frames * spec.height * spec.width if spec.video != "ignored" else 0
    samples = 4 * spec.num_samples if spec.audio != "ignored" else 0
    batch_bytes = batch_size * (frames + samples)
    largest = max((round(_needed(row, spec) * row.decoded_bytes) for row in rows), default=0)
    under_way = 1 + PREFETCHED * num_workers
    seconds = sum(_needed(row, spec) * row.seconds for row in rows)
    cache, problem = _cache_bytes(rows, spec, grid or LatentGrid())
    return DataEstimate(
        cache,
        problem,
        batch_bytes,
        under_way * batch_bytes + processes * largest,
        batch_size * seconds / len(rows) / processes if rows else None,
    )


def _needed(row: ClipReport, spec: ClipSpec) -> float:
    """The part of a file that training reads: of a long one only its beginning, unless the span
    is drawn."""
    length = row.duration_seconds or 0.0
    wanted = float(spec.duration_seconds + BEHIND_SECONDS)
    return 1.0 if spec.span == "random" or length <= wanted else wanted / length


def _cache_bytes(
    rows: tuple[ClipReport, ...], spec: ClipSpec, grid: LatentGrid
) -> tuple[int | None, str]:
    try:
        video = prod(grid.video_shape(spec.num_frames, spec.height, spec.width))
        audio = prod(grid.audio_shape(spec.num_frames))
    except ValueError as error:
        return None, str(error)
    with_picture = sum(row.height is not None for row in rows) * (spec.video != "ignored")
    with_sound = sum(row.sample_rate is not None for row in rows) * (spec.audio != "ignored")
    return BYTES_OF_A_LATENT * (with_picture * video + with_sound * audio), ""
