import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from mmdiff.media.sidecar import clip_comment, encode_sidecar
from mmdiff.media.writer import write_clip


def facts_of(prompt: str = "", seed: int | None = 0, **settings: Any) -> dict[str, Any]:
    """What the sidecar of a clip holds."""
    content = encode_sidecar("folder/clip.mp4", prompt=prompt, seed=seed, settings=settings)
    return json.loads(content)


def test_o6_what_is_written_is_read():
    settings = {"steps": 30, "rate": Fraction(16), "scales": (4.0, 2), "nested": {"on": True}}
    facts = facts_of("a רד \U0001f534", 7, **settings)
    assert (facts["clip"], facts["prompt"], facts["seed"]) == ("clip.mp4", "a רד \U0001f534", 7)
    assert facts["settings"] == {
        "steps": 30,
        "rate": "16",
        "scales": [4.0, 2],
        "nested": {"on": True},
    }
    assert facts["versions"]["torch"].startswith("2.")


def test_o6_it_holds_no_absolute_path(tmp_path):
    facts = facts_of(model=str(tmp_path / "model"), other=[tmp_path], relative=Path("a/b"))
    assert str(tmp_path) not in json.dumps(facts)
    assert facts["settings"]["relative"] == "a/b"


def test_o6_no_absolute_path_hides_in_a_text_or_a_key(tmp_path):
    settings = {
        "guidance": [f"Autoguidance(scale=1.0, transformer='{tmp_path / 'my model'}')"],
        "text": f"folder={tmp_path}/x",
        "by name": {str(tmp_path / "a"): 1, f"{tmp_path}/other/a": 2, tmp_path / "b": 3},
        str(tmp_path): 1,
    }
    facts = facts_of(**settings)
    comment = clip_comment(prompt="", seed=0, settings=settings)
    for written in (json.dumps(facts), comment):
        assert str(tmp_path) not in written and str(tmp_path.parent) not in written
    assert facts["settings"] == {
        "guidance": ["Autoguidance(scale=1.0, transformer='my model')"],
        "text": "folder=x",
        "by name": {"a": 1, "a (2)": 2, "b": 3},
        tmp_path.name: 1,
    }


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\ud800\ud800", "\U0001f534\ud83d", "\0"])
def test_o6_one_of_a_pair_of_surrogates_is_written_and_read(text):
    facts = facts_of(text, a=text, **{text: [text]})
    assert (facts["prompt"], facts["settings"]) == (text, {"a": text, text: [text]})


def test_o6_the_digest_is_that_of_the_settings_and_equal_runs_write_equal_bytes():
    assert facts_of("a", steps=3) == facts_of("a", steps=3)
    digests = [
        facts_of(prompt, **settings)["settings_sha256"]
        for prompt, settings in (
            ("a", {"steps": 3, "size": 4}),
            ("b", {"size": 4, "steps": 3}),
            ("a", {"steps": 4}),
        )
    ]
    assert digests[0] == digests[1] != digests[2]


def test_what_is_no_plain_value_is_named():
    with pytest.raises(ValueError, match=r"settings\.a\[1\] is a object"):
        facts_of(a=[1, object()])


def test_s12_it_holds_no_secret(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijklmnop")
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef")
    settings = {"model": "hf_abcdefghijklmnop", "more": [{"key": "my 0123456789abcdef"}]}
    facts = facts_of("say hf_abcdefghijklmnop", **settings)
    assert facts["prompt"] == "say [$HF_TOKEN]"
    assert facts["settings"] == {"model": "[$HF_TOKEN]", "more": [{"key": "my [$WANDB_API_KEY]"}]}


def test_o6_an_mp4_holds_the_facts_too(small_clip, tmp_path):
    facts = {"prompt": "a רד \U0001f534\nand more", "seed": 7, "settings": {"steps": 3}}
    write_clip(small_clip(2), tmp_path / "clip.mp4", comment=clip_comment(**facts))
    with av.open(str(tmp_path / "clip.mp4")) as container:
        held = json.loads(container.metadata["comment"])
    written = json.loads(encode_sidecar("clip.mp4", **facts))
    assert held == {name: value for name, value in written.items() if name != "clip"}
    long = json.loads(clip_comment(prompt="a" * 10**7, seed=0, settings={}))
    assert long["prompt"] == "a" * 2000 + " ..."
