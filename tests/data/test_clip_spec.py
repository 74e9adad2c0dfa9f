"""A spec is arithmetic, and refuses what cannot be."""

from fractions import Fraction

import pytest

from mmdiff.__main__ import main
from mmdiff.data.clip_spec import ClipSpec


def test_the_default_is_the_clip_of_the_bundled_model():
    spec = ClipSpec()
    assert (spec.num_frames, spec.height, spec.width) == (33, 64, 64)
    assert spec.duration_seconds == Fraction(33, 16)
    assert spec.num_samples == 33_000


def test_rates_are_exact():
    spec = ClipSpec(frame_rate=29.97)
    assert spec.rate == Fraction(30000, 1001)
    assert spec.shape.frame_rate == Fraction(30000, 1001)


@pytest.mark.parametrize(
    "field, value, said",
    [
        ("num_frames", 0, "num_frames is 0"),
        ("height", -8, "height is -8"),
        ("frame_rate", 0, "fps is 0"),
        ("sample_rate", 0, "sample_rate is 0"),
        ("crop", "middle", "crop is 'middle'; possible are center, random"),
        ("span", "last", "span is 'last'; possible are first, random"),
        ("audio", "yes", "audio is 'yes'; possible are optional, required, ignored"),
        ("max_upscale", 0.5, "max_upscale is 0.5"),
        ("max_upscale", float("nan"), "max_upscale is nan"),
        ("max_padding_seconds", -1.0, "max_padding_seconds is -1"),
    ],
)
def test_what_cannot_be_is_refused(field, value, said):
    with pytest.raises((ValueError, TypeError), match=said):
        ClipSpec(**{field: value})


def test_a_clip_has_a_half():
    with pytest.raises(ValueError, match="both ignored"):
        ClipSpec(video="ignored", audio="ignored")


@pytest.mark.parametrize(
    "old, new", [("stretch", "span"), ("picture", "video"), ("sound", "audio")]
)
def test_an_old_key_leads_to_the_new_one(old, new, capsys):
    assert main(["data-check", "data=folder", "data.root=clips", f"data.spec.{old}=ignored"]) == 2
    assert f"nearest  data.spec.{new}=ignored" in capsys.readouterr().err
