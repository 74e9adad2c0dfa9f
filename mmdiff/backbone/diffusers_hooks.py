"""Makes the backbone known to diffusers' caches and guiders.
All that touches diffusers' private registry is here."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from diffusers.hooks import FasterCacheConfig, HookRegistry, TaylorSeerCacheConfig
from diffusers.hooks._helpers import (
    AttentionProcessorMetadata,
    AttentionProcessorRegistry,
    TransformerBlockMetadata,
    TransformerBlockRegistry,
)
from diffusers.hooks.faster_cache import _FASTER_CACHE_DENOISER_HOOK
from diffusers.models.cache_utils import CacheMixin

from mmdiff.backbone.attention import AttentionProcessor
from mmdiff.backbone.block import TransformerBlock

ATTENTION_NAMES = {
    "spatial_attention_block_identifiers": (r"^blocks\.\d+\.attn1$",),
    "temporal_attention_block_identifiers": (r"^blocks\.\d+\.\w+_time\.attn$",),
    "cross_attention_block_identifiers": (r"^blocks\.\d+\.attn2$",),
}


class NamedCaches(CacheMixin):  # type: ignore[misc]
    """diffusers' caches, which know layers by their names, given the names of ours."""

    def enable_cache(self, config: Any) -> None:
        """As in diffusers. Names that `config` gives are kept. `FasterCacheConfig` counts as one of
        a distilled model: attention is skipped, never a pass of the guidance, since all passes
        are one call."""
        named = _with_our_names(config)
        if isinstance(named, FasterCacheConfig):
            named = replace(named, current_timestep_callback=self._time_once_filled(named))
        super().enable_cache(named)

    def _time_once_filled(self, config: FasterCacheConfig) -> Callable[[], float]:
        """A cache that is empty, at the start or after other rows, has nothing to skip by; from a
        time out of all ranges diffusers computes."""

        def time() -> float:
            hook = HookRegistry.check_if_exists_or_initialize(self).get_hook(
                _FASTER_CACHE_DENOISER_HOOK
            )
            return config.current_timestep_callback() if hook.state.iteration else math.inf

        return time


def _with_our_names(config: Any) -> Any:
    if isinstance(config, TaylorSeerCacheConfig):
        return _taylor_seer(config)
    unnamed = {
        name: ours
        for name, ours in ATTENTION_NAMES.items()
        if hasattr(config, name) and getattr(config, name) == getattr(type(config), name)
    }
    if isinstance(config, FasterCacheConfig):
        return replace(config, **unnamed, is_guidance_distilled=True)
    return replace(config, **unnamed) if unnamed else config


def _taylor_seer(config: TaylorSeerCacheConfig) -> TaylorSeerCacheConfig:
    if config.use_lite_mode:
        return replace(
            config,
            use_lite_mode=False,
            skip_predict_identifiers=[r"blocks\.\d+"],
            cache_identifiers=[r"^\w+\.proj_out"],
        )
    if config.cache_identifiers or config.skip_predict_identifiers:
        return config
    names = [one.strip("^$") for (one,) in ATTENTION_NAMES.values()]
    return replace(config, cache_identifiers=names)


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
