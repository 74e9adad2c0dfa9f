"""EncodedClips: latents made while training, where a cache is not worth its disk."""

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from torch import nn

from mmdiff.data.batch import ClipBatch, LatentBatch
from mmdiff.data.buckets import BucketOrder
from mmdiff.data.clip_encoder import ClipEncoder
from mmdiff.data.files.file_clips import FileClips
from mmdiff.data.latent_cache import precision_of
from mmdiff.data.order import EndlessOrder
from mmdiff.values.latents import Modality
from mmdiff.values.shapes import LatentGrid


class NumberedClipDataset(Protocol):
    def __len__(self) -> int: ...

    def __getitem__(self, number: int) -> Any: ...

    def collate(self, items: Sequence[Any]) -> ClipBatch: ...


class EncodedClips:
    """`dataset` behind its autoencoders: batches of latents, as `LatentClips` gives them.

    The same latents as a cache of the same `precision` holds, anew for every crop and stretch that
    the dataset draws. The autoencoders run where the loader collates: in its workers, on the CPU.

    vae, audio_vae: folders of the autoencoders.
    """

    def __init__(
        self,
        dataset: NumberedClipDataset,
        *,
        vae: str,
        audio_vae: str,
        mel: nn.Module,
        grid: LatentGrid | None = None,
        precision: str = "float32",
    ) -> None:
        self.dataset, self.precision = dataset, precision_of(precision)
        encoder = ClipEncoder.from_folders(vae, audio_vae, mel, grid)
        self.encoder = encoder.requires_grad_(False)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, number: int) -> Any:
        return self.dataset[number]

    def order(
        self, batch_size: int, *, seed: int, rank: int = 0, world_size: int = 1
    ) -> EndlessOrder | BucketOrder:
        """That of `dataset`, where it has one of its own."""
        place = {"seed": seed, "rank": rank, "world_size": world_size}
        if isinstance(self.dataset, FileClips):
            return self.dataset.order(batch_size, **place)
        return EndlessOrder(len(self), batch_size, **place)

    @property
    def halves(self) -> Collection[Modality] | None:
        """What the clips have between them, where the dataset can tell."""
        return getattr(self.dataset, "halves", None)

    def collate(self, items: Sequence[Any]) -> LatentBatch:
        batch = self.dataset.collate(items)
        latents = self.encoder(batch).map(lambda half: half.to(self.precision))
        return LatentBatch(latents, batch.captions, batch.sample_ids)
