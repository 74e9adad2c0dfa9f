from fractions import Fraction
from pathlib import Path

import pytest

from mmdiff.media.sidecar import read_sidecar, write_sidecar


def test_what_is_written_is_read(tmp_path):
    settings = {"steps": 30, "rate": Fraction(16), "scales": (4.0, 2), "nested": {"on": True}}
    path = write_sidecar(tmp_path / "clip.mp4", prompt="a רד \U0001f534", seed=7, settings=settings)
    assert path == tmp_path / "clip.json"
    facts = read_sidecar(tmp_path / "clip.mp4")
    assert (facts["clip"], facts["prompt"], facts["seed"]) == ("clip.mp4", "a רד \U0001f534", 7)
    assert facts["settings"] == {
        "steps": 30,
        "rate": "16",
        "scales": [4.0, 2],
        "nested": {"on": True},
    }
    assert facts["versions"]["torch"].startswith("2.")


def test_it_holds_no_absolute_path(tmp_path):
    settings = {"model": str(tmp_path / "model"), "other": [tmp_path], "relative": Path("a/b")}
    path = write_sidecar(tmp_path / "clip.mp4", prompt="", seed=None, settings=settings)
    assert str(tmp_path) not in path.read_text()
    assert read_sidecar(path)["settings"]["relative"] == "a/b"


def test_equal_runs_write_equal_bytes(tmp_path):
    texts = [
        write_sidecar(tmp_path / "clip.mp4", prompt="a", seed=1, settings={}).read_bytes()
        for _ in "12"
    ]
    assert texts[0] == texts[1]


def test_what_is_no_plain_value_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"settings\.a\[1\] is a object"):
        write_sidecar(tmp_path / "clip.mp4", prompt="", seed=0, settings={"a": [1, object()]})
    (tmp_path / "clip.json").write_text("{")
    with pytest.raises(ValueError, match=r"clip.json is damaged"):
        read_sidecar(tmp_path / "clip.mp4")
