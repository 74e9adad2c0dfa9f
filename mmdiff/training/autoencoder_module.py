"""The socket between Lightning and an autoencoder, of video or of audio."""

from collections.abc import Callable, Iterable

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from mmdiff.autoencoders.autoencoder import Autoencoder
from mmdiff.autoencoders.critic import Critique
from mmdiff.data.batch import ClipBatch
from mmdiff.diffusion.noise import NoiseKey, keyed_noise
from mmdiff.training.adversary import Adversary
from mmdiff.training.training_module import TrainingModule


class AutoencoderModule(TrainingModule[Autoencoder]):
    """Trains `autoencoder` on `inputs(batch)` with `objective(autoencoder, x, noise, critique=...)
    -> losses`, which asks the `critic`, if there is one, for its judgement of the reconstruction.

    `name` is the folder that the autoencoder has in a pipeline: vae or audio_vae. Its component is
    that one, with the averaged weights and the scaling of its latents, measured on
    `scaling_batches` batches.
    """

    def __init__(
        self,
        autoencoder: Autoencoder,
        objective: Callable[..., dict[str, Tensor]],
        *,
        inputs: nn.Module,
        name: str,
        optimizer: Callable[..., Optimizer],
        lr_scheduler: Callable[[Optimizer], LRScheduler],
        seed: int,
        ema_decay: float = 0.999,
        scaling_batches: int = 32,
        critic: Adversary | None = None,
    ) -> None:
        super().__init__(
            autoencoder,
            optimizer=optimizer,
            lr_scheduler=lr_scheduler,
            seed=seed,
            ema_decay=ema_decay,
            critic=critic,
        )
        self.objective, self.inputs = objective, inputs
        self.name, self.scaling_batches = name, scaling_batches

    def training_step(self, batch: ClipBatch, batch_index: int) -> Tensor:
        losses = self._losses(self.trained, batch, self.key(batch), self.critique)
        return self.log_losses(losses)

    def losses_of(self, batch: ClipBatch, batch_index: int) -> dict[str, Tensor]:
        return self._losses(self.ema.average, batch, self.held_out_key(batch))

    def _losses(
        self,
        autoencoder: Autoencoder,
        batch: ClipBatch,
        key: NoiseKey,
        critique: Critique | None = None,
    ) -> dict[str, Tensor]:
        x = self.inputs(batch)
        shape = autoencoder.latent_shape(tuple(x.shape[1:]))
        noise = keyed_noise(key, "posterior", shape).to(x.device)
        return self.objective(autoencoder, x, noise, critique=critique)

    @torch.no_grad()
    def components(self, batches: Iterable[ClipBatch]) -> dict[str, Autoencoder]:
        autoencoder = self.ema.average
        means = []
        for _, batch in zip(range(self.scaling_batches), batches, strict=False):  # they never end
            x = self.inputs(batch.to(self.device))
            means.append(rearrange(autoencoder.encode(x).mode(), "b c ... -> (b ...) c"))
        autoencoder.measure_scaling(torch.cat(means))
        return {self.name: autoencoder}
