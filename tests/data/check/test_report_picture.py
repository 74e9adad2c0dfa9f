"""A picture of any report."""

from matplotlib.image import imread

from mmdiff.data.check.report import ClipReport, DataReport
from mmdiff.data.check.report_picture import save_picture
from mmdiff.data.clip_spec import ClipSpec
from mmdiff.media.rejection import Reason


def test_the_picture_is_a_png_for_any_report(tmp_path):
    rows = [
        ClipReport("a", "kept", num_frames=5, frame_rate=8.0, height=16, width=16, loudness=-20.0),
        ClipReport("b", "adapted", num_frames=900, frame_rate=60.0, height=2160, width=3840),
        ClipReport("c", "dropped", Reason.EMPTY, "open", "c is empty"),
    ]
    for name, report in {"full": DataReport(tuple(rows)), "empty": DataReport(())}.items():
        path = tmp_path / f"{name}.png"
        save_picture(report, ClipSpec(), path)
        assert imread(path).shape[:2] == (825, 1210)
