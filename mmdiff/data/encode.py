"""Fills a latent cache: clips -> autoencoders -> latents of unit variance, resumed where it
stopped."""

import logging
import shutil
import time
from collections.abc import Iterator

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Subset

from mmdiff.autoencoders.audio_autoencoder import AudioAutoencoder
from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder, to_unit_range
from mmdiff.data.batch import ClipBatch
from mmdiff.data.clips import ClipDataset, NumberedClips
from mmdiff.data.latent_cache import CacheEntry, LatentCache, StaleCache, cache_spec
from mmdiff.values.latents import ClipLatents
from mmdiff.values.shapes import LatentGrid

_log = logging.getLogger(__name__)


class ClipEncoder(nn.Module):
    """Clips of a batch to latents of unit variance, the means of the posteriors."""

    def __init__(
        self, vae: VideoAutoencoder, audio_vae: AudioAutoencoder, mel: nn.Module, grid: LatentGrid
    ) -> None:
        super().__init__()
        self.vae, self.audio_vae, self.mel, self.grid = vae, audio_vae, mel, grid

    @torch.no_grad()
    def forward(self, batch: ClipBatch) -> ClipLatents:
        video = self.vae.encode(to_unit_range(batch.frames)).mode()
        with torch.autocast(batch.waveform.device.type, enabled=False):
            log_mel = self.mel(self.with_preroll(batch.waveform, batch.frames.shape[1]))
        audio = self.audio_vae.encode(rearrange(log_mel, "b t m -> b 1 t m")).mode()
        return ClipLatents(self.vae.scale(video.float()), self.audio_vae.scale(audio.float()))

    def with_preroll(self, waveform: Tensor, num_frames: int) -> Tensor:
        """b samples, silence in front; ValueError unless it then lasts exactly as long as the
        slices."""
        wanted = self.grid.num_samples_with_preroll(num_frames)
        padded = functional.pad(waveform, (self.grid.preroll_samples, 0))
        if padded.shape[-1] != wanted:
            raise ValueError(
                f"the clips have {waveform.shape[-1]} samples beside {num_frames} frames; "
                f"{wanted - self.grid.preroll_samples} are needed"
            )
        return padded


def encode(
    dataset: ClipDataset,
    folder: str,
    *,
    vae: str,
    audio_vae: str,
    mel: nn.Module,
    grid: LatentGrid | None = None,
    batch_size: int = 32,
    shard_size: int = 1024,
    num_workers: int = 0,
    device: str = "cpu",
    mixed_precision: bool = False,
    overwrite: bool = False,
) -> None:
    """Fill the cache in `folder` with the latents of `dataset`; shards that are there are kept.

    vae, audio_vae: folders of the autoencoders. Raises StaleCache if `folder` holds latents of
    other autoencoders or other clips, unless `overwrite`.
    """
    cache = LatentCache(folder)
    grid = grid or LatentGrid()
    shape = list(dataset[0].frames.shape)
    spec = cache_spec(
        {"vae": vae, "audio_vae": audio_vae},
        clip_shape=shape,
        shard_size=shard_size,
        clips=len(dataset),
    )
    _prepare(cache, spec, overwrite=overwrite)
    encoder = ClipEncoder(
        VideoAutoencoder.from_pretrained(vae),
        AudioAutoencoder.from_pretrained(audio_vae),
        mel,
        grid,
    )
    encoder = encoder.to(device).eval()
    start, done = time.monotonic(), 0
    for number in range(-(-len(dataset) // shard_size)):
        rows = range(number * shard_size, min(len(dataset), (number + 1) * shard_size))
        if (entries := cache.shard_entries(number)) is not None:
            _check_same(cache, entries, dataset, rows)
            continue
        batches = _batches(dataset, rows, batch_size=batch_size, num_workers=num_workers)
        latents, entries = _encode_shard(encoder, batches, device=device, mixed=mixed_precision)
        cache.write_shard(number, latents, entries)
        done += len(entries)
        rate = done / (time.monotonic() - start)
        left = (len(dataset) - rows.stop) / rate / 60
        _log.info("%d/%d clips, %.1f clips/s, %.1f min left", rows.stop, len(dataset), rate, left)


def _prepare(cache: LatentCache, spec: dict[str, object], *, overwrite: bool) -> None:
    if (cache.folder / "spec.json").is_file():
        try:
            if cache.spec() == spec:
                return
            raise StaleCache(
                f"{cache.folder} holds latents of other autoencoders or other clips; "
                "choose another folder, or overwrite=true"
            )
        except StaleCache:
            if not overwrite:
                raise
        shutil.rmtree(cache.folder)
    cache.write_spec(spec)


def _check_same(
    cache: LatentCache, entries: list[CacheEntry], dataset: ClipDataset, rows: range
) -> None:
    first = dataset[rows.start]
    if len(entries) != len(rows) or entries[0].key != first.key:
        raise StaleCache(
            f"{cache.folder} holds {entries[0].key!r} where the dataset has {first.key!r}; "
            "choose another folder, or overwrite=true"
        )


def _batches(
    dataset: ClipDataset, rows: range, *, batch_size: int, num_workers: int
) -> Iterator[tuple[ClipBatch, list[CacheEntry]]]:
    clips = NumberedClips(dataset)
    return iter(
        DataLoader(
            Subset(clips, rows),  # type: ignore[arg-type]
            batch_size=batch_size,
            num_workers=num_workers,
            collate_fn=_collate,
        )
    )


def _collate(items: list) -> tuple[ClipBatch, list[CacheEntry]]:  # type: ignore[type-arg]
    entries = [CacheEntry(sample.key, sample.caption) for _, sample in items]
    return ClipBatch.collate(items), entries


def _encode_shard(
    encoder: ClipEncoder,
    batches: Iterator[tuple[ClipBatch, list[CacheEntry]]],
    *,
    device: str,
    mixed: bool,
) -> tuple[ClipLatents, list[CacheEntry]]:
    parts: list[ClipLatents] = []
    entries: list[CacheEntry] = []
    for batch, clips in batches:
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=mixed):
            parts.append(encoder(batch.to(device)).to("cpu"))
        entries += clips
    return ClipLatents.cat(parts), entries
