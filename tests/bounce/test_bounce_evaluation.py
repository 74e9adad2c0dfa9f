import math

import pytest
import torch

from mmdiff.bounce.bounce_evaluation import audio_reconstruction, level_dbfs
from mmdiff.bounce.listening import Heard


def heard(onsets: tuple[float, ...], pitch: float | None) -> Heard:
    return Heard("a middle ping", onsets, pitch)


def test_audio_reconstruction_is_exact_for_equal_sounds() -> None:
    sounds = [heard((0.3, 0.9), 660.0), heard((0.5,), 330.0)]
    result = audio_reconstruction([(one, one) for one in sounds], [torch.zeros(1, 100)])
    assert result.value("onset error, median") == 0
    assert result.value("pitch within 1 %") == 100
    assert result.value("loudest silence") == -math.inf
    assert result.is_met


def test_audio_reconstruction_finds_late_onsets_bent_pitch_and_hiss() -> None:
    pair = heard((0.3,), 660.0), heard((0.32,), 680.0)
    result = audio_reconstruction([pair], [torch.full((1, 50), 0.01)])
    assert result.value("onset error, median") == pytest.approx(20)
    assert result.value("pitch error, median") == pytest.approx(100 * 20 / 660)
    assert result.value("loudest silence") == pytest.approx(-40)
    assert [figure.is_met for figure in result.figures if figure.wanted] == [False, False, False]


def test_lost_sounds_are_infinitely_wrong() -> None:
    result = audio_reconstruction([(heard((0.3,), 660.0), heard((), None))])
    assert result.value("onset error, median") == math.inf
    assert result.value("pitch error, median") == math.inf
    assert not result.is_met


def test_full_scale_is_0_dbfs() -> None:
    assert level_dbfs(torch.ones(1, 10)) == 0
