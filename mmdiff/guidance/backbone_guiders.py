"""Guiders away from a perturbed backbone: one with parts cut, or a smaller one."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike
from pathlib import Path

from torch import nn

from mmdiff.backbone.transformer import DiffusionTransformer
from mmdiff.diffusion.denoiser import Denoiser
from mmdiff.guidance.guider import DifferenceGuider, Prediction
from mmdiff.loading.component import saved_component
from mmdiff.values.context import Context
from mmdiff.values.latents import ClipLatents


@dataclass(frozen=True)
class ModalityGuidance(DifferenceGuider):
    """Away from the prediction in which video and audio do not see each other: they follow each
    other more closely.

    It is what LTX-2 calls `modality_scale`, here with w = its scale - 1, so that 0 is off. A
    modality that is conditioned pulls the other towards it; a clip of one alone has nothing to
    guide.
    """

    def perturbed(self, conditional: Prediction, negative_context: Context | None) -> Prediction:
        return replace(conditional, without_view=True)

    def applies_to(self, latents: ClipLatents) -> bool:
        return len(latents.modalities) == 2


@dataclass(frozen=True)
class SkipLayer(DifferenceGuider):
    """Away from the prediction without some blocks, as in Stable Diffusion 3.5 and, for clips, STG
    (arXiv 2411.18664).

    blocks: indices of the blocks that the perturbed prediction goes without; blocks of the middle
        lose structure, the first and the last lose the image. One batched call cuts one set.
    """

    blocks: tuple[int, ...] = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        blocks = tuple(self.blocks)
        is_index = [isinstance(one, int) and not isinstance(one, bool) for one in blocks]
        if not blocks or not all(is_index) or min(blocks) < 0 or len(set(blocks)) < len(blocks):
            raise ValueError(
                f"blocks is {blocks}; it must name the blocks to skip, each once, counted from 0: "
                "for example (2,)"
            )
        object.__setattr__(self, "blocks", tuple(sorted(blocks)))

    def perturbed(self, conditional: Prediction, negative_context: Context | None) -> Prediction:
        return replace(conditional, without_blocks=self.blocks)


@dataclass(frozen=True)
class FrameDifference(DifferenceGuider):
    """Away from the prediction of unrelated frames: the adapters that carry time are cut, in all
    blocks, so that each group of tokens is predicted by itself.

    It is in the family of STG (arXiv 2411.18664), which skips the attention of a few hand-picked
    blocks, and so perturbs each frame along with time, in a model that never saw this in training;
    here only what joins frames is cut, and the backbone has been trained with it cut now and then,
    so the perturbed prediction is a good one of unrelated frames.
    """

    def perturbed(self, conditional: Prediction, negative_context: Context | None) -> Prediction:
        return replace(conditional, without_time=True)

    def applies_to(self, latents: ClipLatents) -> bool:
        """A still image has one frame only, and audio alone has time to be cut."""
        return latents.video is None or latents.video.shape[2] > 1


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
            raise TypeError(
                f"transformer is a {type(self.transformer).__name__}; it must be a transformer or "
                "the folder of one"
            )

    def __repr__(self) -> str:
        name = self.transformer  # a module shows itself with all its layers
        shown = type(name).__name__ if isinstance(name, nn.Module) else str(name)
        return (
            f"Autoguidance(scale={self.scale}, audio_scale={self.audio_scale}, "
            f"interval={tuple(self.interval)}, schedule={self.schedule!r}, transformer={shown!r})"
        )

    def perturbed(self, conditional: Prediction, negative_context: Context | None) -> Prediction:
        own = conditional.denoiser
        assert isinstance(own, Denoiser)
        model = self._model.to(conditional.context.tokens.device)
        denoiser = Denoiser(model, own.noise_schedule, own.parameterization)
        return replace(conditional, denoiser=denoiser)

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
