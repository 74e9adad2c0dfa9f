"""ConditionedCall: sampling and decoding around what is given, in one window or several."""

from collections.abc import Sequence

import torch

from mmdiff.conditioning.condition import Condition
from mmdiff.pipelines.call_conditions import CallConditions, given_state, restored
from mmdiff.pipelines.extension import check_extension_request, extended
from mmdiff.pipelines.request import GenerationRequest
from mmdiff.pipelines.stages import CallStages
from mmdiff.values.context import Context
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents


class ConditionedCall(CallStages):
    """What a call makes, mixed into the pipeline, which brings the sampling."""

    def _sample(
        self,
        request: GenerationRequest,
        state: LatentState,
        generators: Sequence[torch.Generator],
        *,
        context: Context,
        negative_context: Context | None,
    ) -> ClipLatents:
        raise NotImplementedError

    def _made(
        self,
        request: GenerationRequest,
        generators: Sequence[torch.Generator],
        *,
        given: CallConditions,
        context: Context,
        negative_context: Context | None,
    ) -> ClipLatents:
        """Media on the CPU (frames b 3 frames height width and sound b 1 samples, in [-1, 1]), or
        clean latents where those were asked for."""
        rows = given.of_clips(request.batch_size)
        encode = self._media_encoder(request)

        def make(rows: Sequence[Sequence[Condition]]) -> ClipLatents:
            state = given_state(self._draw(request, generators), rows, encode)
            clean = self._sample(
                request, state, generators, context=context, negative_context=negative_context
            )
            if request.output_type == "latent":
                return clean
            return restored(self.decode_latents(clean, request.num_frames), rows, encode)

        if not given.is_extension:
            return make(rows)
        check_extension_request(request)
        return extended(rows, make, encode, modalities=request.modalities)
