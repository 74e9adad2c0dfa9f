"""How much of a clip depends on its batch: nothing but the rounding of matrix products."""

import torch

from mmdiff.pipelines.pipeline import MMDiffPipeline

PROMPTS = [
    "a small red circle bouncing left and right quickly on a black background, a high ping",
    "a large blue square",
    "",
]


def test_a_clip_of_the_bundled_model_is_the_same_alone_or_in_a_batch_up_to_rounding() -> None:
    pipe = MMDiffPipeline.from_pretrained()
    pipe.set_progress_bar_config(disable=True)

    def clips(rows: range) -> list[tuple[torch.Tensor, torch.Tensor]]:
        made = pipe(
            [PROMPTS[row] for row in rows],
            generator=[torch.Generator().manual_seed(row) for row in rows],
            num_inference_steps=6,
            num_frames=17,
        )
        return [(clip.frames.int(), clip.waveform) for clip in made.clips]

    for row, (frames, waveform) in enumerate(clips(range(3))):
        ((alone, heard),) = clips(range(row, row + 1))
        difference = (frames - alone).abs()
        assert difference.max() <= 1 and (difference > 0).float().mean() < 1e-3
        assert (waveform - heard).abs().max() < 1e-4
    assert clips(range(1))[0][0].float().std() > 1
