import json
from fractions import Fraction
from pathlib import Path

import av
import pytest

from mmdiff.media.sidecar import clip_comment, read_sidecar, write_sidecar
from mmdiff.media.writer import write_clip


def test_o6_what_is_written_is_read(tmp_path):
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


def test_o6_it_holds_no_absolute_path(tmp_path):
    settings = {"model": str(tmp_path / "model"), "other": [tmp_path], "relative": Path("a/b")}
    path = write_sidecar(tmp_path / "clip.mp4", prompt="", seed=None, settings=settings)
    assert str(tmp_path) not in path.read_text()
    assert read_sidecar(path)["settings"]["relative"] == "a/b"


def test_o6_no_absolute_path_hides_in_a_text_or_a_key(tmp_path):
    settings = {
        "guidance": [f"Autoguidance(scale=1.0, transformer='{tmp_path / 'my model'}')"],
        "text": f"folder={tmp_path}/x",
        "by name": {str(tmp_path / "a"): 1, f"{tmp_path}/other/a": 2, tmp_path / "b": 3},
        str(tmp_path): 1,
    }
    path = write_sidecar(tmp_path / "clip.mp4", prompt="", seed=0, settings=settings)
    comment = clip_comment(prompt="", seed=0, settings=settings)
    for written in (path.read_text(), comment):
        assert str(tmp_path) not in written and str(tmp_path.parent) not in written
    assert read_sidecar(path)["settings"] == {
        "guidance": ["Autoguidance(scale=1.0, transformer='my model')"],
        "text": "folder=x",
        "by name": {"a": 1, "a (2)": 2, "b": 3},
        tmp_path.name: 1,
    }


def test_o6_the_folder_of_autoguidance_is_not_told(tmp_path):
    from mmdiff.apps.generate import described
    from mmdiff.guidance.backbone_guiders import Autoguidance
    from tests.pipelines.tiny import tiny_pipeline

    pipe = tiny_pipeline()
    pipe.save_pretrained(tmp_path / "model")
    given = {"guidance": [Autoguidance(scale=1.0, transformer=tmp_path / "model")]}
    facts = described(pipe, given, str(tmp_path / "model"))
    path = write_sidecar(tmp_path / "clip.mp4", prompt="a", seed=0, settings=facts)
    assert str(tmp_path) not in path.read_text() and "transformer='model'" in path.read_text()


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\ud800\ud800", "\U0001f534\ud83d", "\0"])
def test_o6_half_a_surrogate_pair_is_written_and_read(tmp_path, text):
    path = write_sidecar(
        tmp_path / "clip.mp4", prompt=text, seed=0, settings={"a": text, text: [text]}
    )
    facts = read_sidecar(path)
    assert (facts["prompt"], facts["settings"]) == (text, {"a": text, text: [text]})


def test_o6_equal_runs_write_equal_bytes(tmp_path):
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


def test_o6_it_holds_no_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijklmnop")
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef")
    settings = {"model": "hf_abcdefghijklmnop", "more": [{"key": "my 0123456789abcdef"}]}
    path = write_sidecar(
        tmp_path / "clip.mp4", prompt="say hf_abcdefghijklmnop", seed=0, settings=settings
    )
    facts = read_sidecar(path)
    assert facts["prompt"] == "say [$HF_TOKEN]"
    assert facts["settings"] == {"model": "[$HF_TOKEN]", "more": [{"key": "my [$WANDB_API_KEY]"}]}


def test_o6_the_digest_is_that_of_the_settings(tmp_path):
    def digest(prompt, **settings):
        path = write_sidecar(tmp_path / "clip.mp4", prompt=prompt, seed=0, settings=settings)
        return read_sidecar(path)["settings_sha256"]

    assert digest("a", steps=3, size=4) == digest("b", size=4, steps=3) != digest("a", steps=4)


def test_o6_an_mp4_holds_the_facts_too(small_clip, tmp_path):
    facts = {"prompt": "a רד \U0001f534\nand more", "seed": 7, "settings": {"steps": 3}}
    write_clip(small_clip(2), tmp_path / "clip.mp4", comment=clip_comment(**facts))
    with av.open(str(tmp_path / "clip.mp4")) as container:
        held = json.loads(container.metadata["comment"])
    written = read_sidecar(write_sidecar(tmp_path / "clip.mp4", **facts))
    assert held == {name: value for name, value in written.items() if name != "clip"}
    long = json.loads(clip_comment(prompt="a" * 10**7, seed=0, settings={}))
    assert long["prompt"] == "a" * 2000 + " ..."
