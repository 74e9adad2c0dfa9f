"""Autoguidance: away from the prediction of a weaker model."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike
from pathlib import Path

from torch import nn

from mmdiff.backbone.transformer import DiffusionTransformer
from mmdiff.diffusion.denoiser import Denoiser
from mmdiff.guidance.difference_guider import DifferenceGuider
from mmdiff.guidance.weaker import Weaker
from mmdiff.loading.component import saved_component
from mmdiff.values.context import Context


@dataclass(frozen=True, repr=False)
class Autoguidance(DifferenceGuider):
    """x + w (x - x_small): away from what a smaller or less trained model gets wrong
    (arXiv 2406.02507); it takes one call of that model a step.

    transformer: that model, or the folder of one or of a pipeline with one. It reads the same text
        and latents, and was trained for the same noise schedule and parameterization.
    """

    transformer: nn.Module | str | PathLike[str] = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.transformer, (str, PathLike)):
            _folder_of_weights(self.transformer)
        elif not isinstance(self.transformer, nn.Module):
            raise ValueError(
                f"transformer is a {type(self.transformer).__name__}; it must be a transformer or "
                "the folder of one"
            )

    def __repr__(self) -> str:
        name = self.transformer
        shown = type(name).__name__ if isinstance(name, nn.Module) else str(name)
        return (
            f"Autoguidance(scale={self.scale}, audio_scale={self.audio_scale}, "
            f"interval={tuple(self.interval)}, schedule={self.schedule!r}, transformer={shown!r})"
        )

    def weaken(self, strong: Weaker, negative_context: Context | None) -> Weaker:
        """Raises TypeError if nobody can tell what the models were trained to predict."""
        if not isinstance(strong.denoiser, Denoiser):
            raise TypeError(
                f"the denoiser is a {type(strong.denoiser).__name__}; autoguidance takes noise "
                "schedule and parameterization from a Denoiser"
            )
        model = self._model.to(strong.context.tokens.device)
        denoiser = Denoiser(model, strong.denoiser.noise_schedule, strong.denoiser.parameterization)
        return replace(strong, denoiser=denoiser)

    @cached_property
    def _model(self) -> nn.Module:
        """Read when it is first asked for. Raises CheckpointError for what may not be loaded."""
        if isinstance(self.transformer, nn.Module):
            return self.transformer
        folder = _folder_of_weights(self.transformer)
        model: nn.Module = saved_component(DiffusionTransformer, folder)
        return model.eval().requires_grad_(False)


def _folder_of_weights(path: str | PathLike[str]) -> Path:
    """The folder itself, or the transformer in a pipeline's; ValueError if there is neither."""
    for folder in (Path(path) / "transformer", Path(path)):
        if (folder / "config.json").is_file():
            return folder
    raise ValueError(
        f"transformer is {str(path)!r}, where there is no config.json; it must be the folder of a "
        "transformer, or of a pipeline: mmdiff export makes one"
    )
