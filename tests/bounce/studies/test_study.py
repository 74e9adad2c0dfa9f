"""Each study against a model that is perfect, and against one that takes no notice."""

import pytest

from mmdiff.bounce.studies.clip_to_clip import Extension
from mmdiff.bounce.studies.cross_modal import PictureToSound, SoundToPicture
from mmdiff.bounce.studies.inpainting import BoxInpainting, SoundInpainting
from mmdiff.bounce.studies.keyframes import FirstFrameToClip, Interpolation
from mmdiff.bounce.studies.study import Studies
from mmdiff.values.usage_error import UsageError
from tests.bounce.studies.stages import answered_stage, heedless, perfect, results

STUDIES = [
    PictureToSound(),
    SoundToPicture(),
    FirstFrameToClip(),
    Extension(),
    Interpolation(),
    BoxInpainting(),
    SoundInpainting(),
]


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: type(study).__name__)
def test_a_perfect_model_reaches_every_bound_and_is_shown_with_its_command(study, tmp_path):
    for result in results(study, perfect, tmp_path):
        assert result.is_met, [f for f in result.figures if f.is_met is False]
        assert any(figure.wanted is not None for figure in result.figures)
        assert all(figure.count for figure in result.figures)
    pages = sorted((tmp_path / "gallery").glob("*.md"))
    assert pages
    for page in pages:
        text = page.read_text()
        assert "mmdiff generate" in text
        assert (tmp_path / "gallery" / f"{page.stem}.storyboard.png").is_file()
        assert f"{page.stem}.given" in text or f"{page.stem}.0.given" in text


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: type(study).__name__)
def test_a_heedless_model_reaches_none(study, tmp_path):
    for result in results(study, heedless, tmp_path):
        assert not result.is_met
        wanted = [f for f in result.figures if f.wanted is not None and "sample step" not in f.name]
        assert sum(figure.is_met is False for figure in wanted) >= len(wanted) - 1


def test_what_is_given_is_shown_as_it_lies_in_its_file(tmp_path):
    """So the command of the page makes the clip of its storyboard."""
    answered = []

    def answer(truth, asked):
        answered.append(truth)
        return truth.clip

    stage = answered_stage(answer, tmp_path)
    (truth, *_) = stage.truths(is_sounding=True)
    stage.show("a", truth, BoxInpainting().ask)
    (shown,) = answered
    assert (shown.frames != truth.frames).any()  # a video file loses something
    assert "condition.mask=[" in (tmp_path / "gallery" / "a.md").read_text()


def test_studies_that_do_not_exist_are_reported():
    with pytest.raises(UsageError, match=r"evaluation\.only names b; the studies are a"):
        Studies(studies={"a": STUDIES[0]}, only=["a", "b"])
    with pytest.raises(ValueError, match="num_clips is 0"):
        Studies(studies={"a": STUDIES[0]}, num_clips=0)
