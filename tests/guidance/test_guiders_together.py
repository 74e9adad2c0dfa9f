"""Laws that hold for every guider, alone and with any others, on a real (tiny) transformer."""

from dataclasses import replace
from itertools import combinations

import pytest
import torch

from mmdiff.guidance.backbone_guiders import (
    Autoguidance,
    FrameDifference,
    ModalityGuidance,
    SkipLayer,
)
from mmdiff.guidance.frame_consistency import FrameConsistency
from mmdiff.guidance.guided_denoiser import GuidedDenoiser
from mmdiff.guidance.guider import Guider
from mmdiff.guidance.text_guiders import ClassifierFree, ClassifierFreeZeroStar, Projected
from mmdiff.values.latents import ClipLatents
from tests.guidance.small_model import (
    NEGATIVE,
    POSITIVE,
    ROWS,
    Counted,
    clip,
    levels,
    small_transformer,
)

OTHER = small_transformer(seed=9)
DIFFERENCE = FrameDifference(1.5, 0.5)
TEXT: list[Guider] = [
    ClassifierFree(3.0),
    Projected(3.0),
    ClassifierFreeZeroStar(3.0, zero_init_calls=0),
]
ADDITIVE: list[Guider] = [
    DIFFERENCE,
    ModalityGuidance(2.0),
    SkipLayer(0.7, blocks=(1,)),
    Autoguidance(0.9, transformer=OTHER),
]
ONE_BACKBONE = [TEXT[0], *ADDITIVE[:3]]
SUBSETS = [list(some) for n in range(5) for some in combinations(ONE_BACKBONE, n)]


def name(guider: Guider) -> str:
    return type(guider).__name__


def guided(
    *guiders: Guider, latents: ClipLatents | None = None, time: ClipLatents | None = None
) -> tuple[ClipLatents, list[int]]:
    """The estimate, and the rows of each call of the main model."""
    denoiser = Counted()
    run = GuidedDenoiser(denoiser, POSITIVE, negative_context=NEGATIVE, guiders=guiders)
    return run(latents or clip(), time or levels()), denoiser.rows


def assert_close(got: ClipLatents, expected: ClipLatents, atol: float = 1e-5) -> None:
    assert got.modalities == expected.modalities
    for half in got.modalities:
        assert torch.allclose(getattr(got, half), getattr(expected, half), rtol=0, atol=atol)


def assert_equal(got: ClipLatents, expected: ClipLatents) -> None:
    assert got.modalities == expected.modalities
    for half in got.modalities:
        assert torch.equal(getattr(got, half), getattr(expected, half))


def differs(got: ClipLatents, other: ClipLatents) -> bool:
    """By more than what the size of a batch does to rounding."""
    gaps = got.zip(other, lambda one, two: (one - two).abs().max())
    return max(float(getattr(gaps, half)) for half in gaps.modalities) > 1e-4


def off(guider: Guider) -> Guider:
    if hasattr(guider, "guidance_scale"):
        return replace(guider, guidance_scale=1.0)  # type: ignore[call-arg]
    return replace(guider, scale=0.0, audio_scale=0.0)  # type: ignore[call-arg]


@pytest.mark.parametrize("guider", [*TEXT, *ADDITIVE], ids=name)
def test_off_is_no_guider_bit_for_bit_at_no_cost(guider: Guider) -> None:
    plain, _ = guided()
    result, rows = guided(off(guider))
    assert_equal(result, plain)
    assert rows == [ROWS]


def test_all_off_together_is_no_guider_bit_for_bit_at_no_cost() -> None:
    plain, _ = guided()
    result, rows = guided(*map(off, [*TEXT, *ADDITIVE]))
    assert_equal(result, plain)
    assert rows == [ROWS]


@pytest.mark.parametrize("guider", [*TEXT, *ADDITIVE], ids=name)
def test_on_it_changes_both_modalities_and_costs_one_pass(guider: Guider) -> None:
    plain, _ = guided()
    result, rows = guided(guider)
    assert differs(ClipLatents(video=result.video), ClipLatents(video=plain.video))
    assert differs(ClipLatents(audio=result.audio), ClipLatents(audio=plain.audio))
    assert rows == [ROWS if isinstance(guider, Autoguidance) else 2 * ROWS]


@pytest.mark.parametrize("subset", SUBSETS, ids=lambda some: "+".join(map(name, some)) or "none")
def test_any_number_together_is_one_call_and_the_sum(subset: list[Guider]) -> None:
    plain, _ = guided()
    result, rows = guided(*subset)
    assert rows == [ROWS * (1 + len(subset))]
    expected = plain
    for guider in subset:
        step = guided(guider)[0].zip(plain, torch.sub)
        expected = expected.zip(step, torch.add)
    assert_close(result, expected)


def test_another_model_takes_one_call_of_its_own() -> None:
    alone, _ = guided(ADDITIVE[3])
    plain, _ = guided()
    seen: list[int] = []
    handle = OTHER.register_forward_pre_hook(
        lambda module, arguments: seen.append(arguments[0].batch_size)
    )
    result, rows = guided(*ONE_BACKBONE, ADDITIVE[3])
    handle.remove()
    assert rows == [5 * ROWS] and seen == [ROWS]
    rest, _ = guided(*ONE_BACKBONE)
    assert_close(result, rest.zip(alone.zip(plain, torch.sub), torch.add))


@pytest.mark.parametrize(
    ("guiders", "passes"),
    [
        (TEXT, 2),
        ([DIFFERENCE, replace(DIFFERENCE, scale=2.0)], 2),
        ([SkipLayer(1.0, blocks=(0, 1)), SkipLayer(2.0, blocks=(1, 0))], 2),
        ([ModalityGuidance(1.0), DIFFERENCE], 3),
    ],
)
def test_equal_perturbed_predictions_share_a_pass(guiders: list[Guider], passes: int) -> None:
    assert guided(*guiders)[1] == [passes * ROWS]


@pytest.mark.parametrize("guider", ADDITIVE, ids=name)
def test_what_is_added_is_linear_in_the_scale(guider: Guider) -> None:
    plain, _ = guided()

    def step(scale: float) -> ClipLatents:
        scaled = replace(guider, scale=scale, audio_scale=2 * scale)  # type: ignore[call-arg]
        return guided(scaled)[0].zip(plain, torch.sub)

    assert_close(step(3.0), step(1.0).map(lambda half: 3 * half), atol=5e-5)
    one, two, three = (
        replace(guider, scale=scale, audio_scale=None)  # type: ignore[call-arg]
        for scale in (1.0, 2.0, 3.0)
    )
    assert_close(guided(one, two)[0], guided(three)[0])


@pytest.mark.parametrize("guider", ADDITIVE, ids=name)
def test_each_modality_by_its_own_scale(guider: Guider) -> None:
    plain, _ = guided()
    picture, _ = guided(replace(guider, scale=1.0, audio_scale=0.0))  # type: ignore[call-arg]
    sound, _ = guided(replace(guider, scale=0.0, audio_scale=1.0))  # type: ignore[call-arg]
    assert_close(ClipLatents(audio=picture.audio), ClipLatents(audio=plain.audio))
    assert_close(ClipLatents(video=sound.video), ClipLatents(video=plain.video))
    assert differs(ClipLatents(video=picture.video), ClipLatents(video=plain.video))
    assert differs(ClipLatents(audio=sound.audio), ClipLatents(audio=plain.audio))


@pytest.mark.parametrize("guider", [*TEXT, *ADDITIVE], ids=name)
def test_outside_of_the_interval_and_for_given_halves_nothing_is_added(guider: Guider) -> None:
    late = replace(guider, interval=(0.0, 0.5))
    plain, _ = guided(time=levels(0.6, 0.4))
    result, _ = guided(late, time=levels(0.6, 0.4))
    assert_close(ClipLatents(video=result.video), ClipLatents(video=plain.video))
    assert differs(ClipLatents(audio=result.audio), ClipLatents(audio=plain.audio))
    assert guided(late, time=levels(0.6, 0.0))[1] == [ROWS]


@pytest.mark.parametrize("guider", [*TEXT, *ADDITIVE], ids=name)
def test_a_row_alone_is_itself_in_the_batch(guider: Guider) -> None:
    whole, _ = guided(*ONE_BACKBONE, guider)
    for row in range(ROWS):
        rows = slice(row, row + 1)
        run = GuidedDenoiser(
            Counted(),
            POSITIVE[rows],
            negative_context=NEGATIVE[rows],
            guiders=[*ONE_BACKBONE, guider],
        )
        assert_close(run(clip()[rows], levels()[rows]), whole[rows])


def test_one_half_alone_has_no_modalities_to_guide() -> None:
    for half in ("video", "audio"):
        latents = ClipLatents(**{half: getattr(clip(), half)})
        time = ClipLatents(**{half: getattr(levels(), half)})
        plain, _ = guided(latents=latents, time=time)
        result, rows = guided(ModalityGuidance(3.0), latents=latents, time=time)
        assert rows == [ROWS]
        assert_equal(result, plain)


def test_what_is_given_pulls_the_other_half() -> None:
    time = levels(0.0, 0.7)
    plain, _ = guided(time=time)
    result, _ = guided(ModalityGuidance(1.0), time=time)
    assert torch.equal(result.video, plain.video)  # type: ignore[arg-type]
    assert not torch.equal(result.audio, plain.audio)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["latent", "difference", "energy"])
def test_a_still_image_has_no_frames_to_join(form: str) -> None:
    still = clip(1)
    plain, _ = guided(latents=still)
    guider = FrameConsistency(3.0, 3.0, form=form).guider()  # type: ignore[arg-type]
    result, rows = guided(guider, latents=still)
    assert rows == [ROWS]
    assert_equal(result, plain)
