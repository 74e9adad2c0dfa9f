"""Makes the backbone known to diffusers' caches and guiders.
All that touches diffusers' private registry is here."""

from typing import Any

from diffusers.hooks._helpers import (
    AttentionProcessorMetadata,
    AttentionProcessorRegistry,
    TransformerBlockMetadata,
    TransformerBlockRegistry,
)

from mmdiff.backbone.attention import AttentionProcessor
from mmdiff.backbone.block import TransformerBlock


def register() -> None:
    """Register the block and the processor; doing it twice is harmless."""
    TransformerBlockRegistry.register(
        TransformerBlock,
        TransformerBlockMetadata(
            return_hidden_states_index=0, return_encoder_hidden_states_index=None
        ),
    )
    AttentionProcessorRegistry.register(
        AttentionProcessor,
        AttentionProcessorMetadata(skip_processor_output_fn=_skipped),
    )


def _skipped(_processor: Any, *args: Any, **kwargs: Any) -> Any:
    """What a processor gives that is skipped: its input."""
    return kwargs.get("hidden_states", args[0] if args else None)
