"""N3: a spike of the loss is reported with its samples."""

from pathlib import Path

import pytest

from mmdiff.training.callbacks.spike_warning import SpikeWarning
from tests.training.tiny import TinyModule, spoil, train


def test_n3_a_spike_is_reported_with_its_samples(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """At its step and at no other, also where the window was filled before a restart."""
    whole, parts = TinyModule(), TinyModule()
    reported = []
    for module in (whole, parts):
        module.spoil = spoil("loss", step=8, by=1000.0)
        caplog.clear()
        folder = tmp_path / str(module is whole)
        if module is parts:
            train(folder, 6, callbacks=[SpikeWarning(patience=5)])
        train(folder, 10, module=module, callbacks=[SpikeWarning(patience=5)])
        reported.append([r.getMessage() for r in caplog.records if "median" in r.getMessage()])
    assert reported[0] == reported[1] and len(reported[0]) == 1
    assert reported[0][0].startswith("step 8, rank 0: the loss is ")
    assert reported[0][0].endswith(f"samples {list(whole.seen[8])}")


@pytest.mark.parametrize("wrong", [{"factor": 1.0}, {"patience": 0}, {"patience": 9, "window": 8}])
def test_a_window_that_never_fills_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="the factor must be above 1, and patience from 1 to wind"):
        SpikeWarning(**wrong)  # type: ignore[arg-type]
