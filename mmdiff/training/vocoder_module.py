"""The socket between Lightning and a vocoder."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from mmdiff.autoencoders.critic import Critique
from mmdiff.autoencoders.vocoder import Vocoder
from mmdiff.autoencoders.vocoder_objective import VocoderObjective
from mmdiff.data.batch import ClipBatch
from mmdiff.diffusion.noise import NoiseKey, keyed_noise
from mmdiff.training.adversary import Adversary
from mmdiff.training.training_module import TrainingModule


class VocoderModule(TrainingModule[Vocoder]):
    """Trains `vocoder` on `inputs(batch)`, waveforms b samples, with `objective(vocoder, waveform,
    noise)`, which asks the `critic`, if there is one, for its judgement of the waveform.

    The network runs in the trainer's precision, the spectra of the objective always in fp32.
    """

    def __init__(
        self,
        vocoder: Vocoder,
        objective: VocoderObjective,
        *,
        inputs: nn.Module,
        optimizer: Callable[..., Optimizer],
        lr_scheduler: Callable[[Optimizer], LRScheduler],
        seed: int,
        ema_decay: float = 0.999,
        critic: Adversary | None = None,
    ) -> None:
        super().__init__(
            vocoder,
            optimizer=optimizer,
            lr_scheduler=lr_scheduler,
            seed=seed,
            ema_decay=ema_decay,
            critic=critic,
        )
        self.objective, self.inputs = objective, inputs

    def training_step(self, batch: ClipBatch, batch_index: int) -> Tensor:
        return self.log_losses(self._losses(self.trained, batch, self.key(batch), self.critique))

    def losses_of(self, batch: ClipBatch, batch_index: int) -> dict[str, Tensor]:
        return self._losses(self.ema.average, batch, self.held_out_key(batch))

    def _losses(
        self, vocoder: Vocoder, batch: ClipBatch, key: NoiseKey, critique: Critique | None = None
    ) -> dict[str, Tensor]:
        waveform = self.inputs(batch)
        mel = self.objective.mel
        shape = (mel.num_frames(waveform.shape[-1]), mel.mel_bins)
        noise = keyed_noise(key, "mel", shape).to(waveform.device)

        def run_vocoder(log_mel: Tensor) -> Tensor:
            """In the trainer's precision."""
            with self.trainer.precision_plugin.forward_context():
                return vocoder(log_mel)

        # the powers of a spectrum span more than half precision holds
        with torch.autocast(waveform.device.type, enabled=False):
            return self.objective(run_vocoder, waveform, noise, critique=critique)

    def components(self, batches: Iterable[ClipBatch]) -> dict[str, nn.Module]:
        return {"vocoder": self.ema.average}
