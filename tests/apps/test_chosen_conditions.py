"""Conditions from the command line: each YAML, the short forms, lists, and what is recorded."""

import json

import pytest
import torch
from PIL import Image

from mmdiff.apps import generate as verb
from mmdiff.apps.chosen_conditions import chosen_conditions, noted
from mmdiff.apps.compose import composed, resolved
from mmdiff.apps.conf_tree import options
from mmdiff.apps.config import built
from mmdiff.conditioning.condition import Condition
from mmdiff.media.clip import Clip
from mmdiff.values.usage_error import UsageError
from tests.conditioning.pooling import moving_frames, tone
from tests.pipelines.tiny import tiny_pipeline

WORDS = {
    "first_frame": ["condition.image=cat.png"],
    "keyframes": ["condition.images={0: cat.png, 0.5: cat.png}"],
    "extend": ["condition.clip=ball.mp4", "condition.after_seconds=0.25"],
    "inpaint": ["condition.clip=ball.mp4", "condition.mask=[8,8,24,24]"],
    "outpaint": ["condition.clip=ball.mp4", "condition.mask=[8,8,24,24]"],
    "given_video": ["condition.clip=ball.mp4"],
    "given_audio": ["condition.clip=track.wav"],
    "partial_noise": ["condition.clip=ball.mp4", "condition.strength=0.5"],
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    tiny_pipeline().save_pretrained(folder)
    return folder


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frames = moving_frames(9)
    Image.fromarray(frames[0].numpy()).save("cat.png")
    Clip(frames=frames, waveform=tone(9000), sample_rate=16_000).save("ball.mp4")
    Clip(waveform=tone(9000), sample_rate=16_000).save("track.wav")
    return tmp_path


def test_every_condition_has_a_file():
    assert set(options("condition")) == set(WORDS)


@pytest.mark.parametrize("name", WORDS)
def test_every_condition_makes_a_clip(checkpoint, files, name, capsys):
    words = ["prompt=a", "output=made.mp4", f"checkpoint={checkpoint}", "device=cpu"]
    assert verb.main([*words, f"condition={name}", *WORDS[name]]) == 0, capsys.readouterr().err
    made = Clip.load("made.mp4")
    assert made.num_frames == (13 if name == "extend" else 9)
    facts = json.loads((files / "made.json").read_text())["settings"]["conditions"]
    kind = {"outpaint": "Inpaint"}.get(name, name.title().replace("_", ""))
    assert [one["condition"] for one in facts] == [kind]
    assert (files / "made.storyboard.png").is_file()


def test_short_forms_and_lists_need_no_prompt_where_a_half_is_given(checkpoint, files, capsys):
    words = [
        f"checkpoint={checkpoint}",
        "device=cpu",
        "audio=track.wav",
        "image=cat.png",
        "conditions=[{_target_: mmdiff.Keyframes, images: {0.5: cat.png}}]",
        "output=made.mp4",
    ]
    assert verb.main(words) == 0, capsys.readouterr().err
    facts = json.loads((files / "made.json").read_text())["settings"]["conditions"]
    assert facts[0]["images"] == {"0.5": "cat.png"}
    assert facts[1:] == [
        {"condition": "FirstFrame", "image": "cat.png", "keep_exact": False},
        {
            "condition": "GivenAudio",
            "clip": "track.wav",
            "start_seconds": 0.0,
            "sample_rate": None,
            "keep_exact": True,
        },
    ]


def test_a_silent_video_gets_a_sound(checkpoint, files, capsys):
    Clip(frames=moving_frames(9)).save("silent.mp4")
    words = ["video=silent.mp4", f"checkpoint={checkpoint}", "device=cpu", "output=made.mp4"]
    assert verb.main(words) == 0, capsys.readouterr().err
    assert Clip.load("made.mp4").waveform is not None


@pytest.mark.parametrize("name", WORDS)
def test_every_condition_is_built(files, name):
    words = [f"condition={name}", *WORDS[name]]
    made = built(resolved(composed("generate", words), "generate")["condition"])
    assert isinstance(made, Condition)
    assert noted([made]).split()[0] == type(made).__name__


def test_the_note_names_what_is_given(files):
    nodes = [{"_target_": "mmdiff.Keyframes", "images": {0.5: "cat.png"}}]
    given = chosen_conditions(
        None, built(nodes), {"image": str(files / "cat.png"), "audio": "track.wav"}
    )
    assert noted(given) == "Keyframes at 0.5 s, FirstFrame cat.png, GivenAudio track.wav"


def test_what_is_no_condition():
    with pytest.raises(UsageError, match=r"^conditions\[0\] is 'first_frame'; it must be a cond"):
        chosen_conditions(None, ["first_frame"], {})
    with pytest.raises(UsageError, match=r"^condition is 3; it must be a condition"):
        chosen_conditions(3, None, {})


@pytest.mark.parametrize(
    "words, message",
    [
        (
            ["prompt=a", "image=cta.png"],
            "mmdiff generate: image=cta.png: image of FirstFrame is cta.png, and there is no such "
            "file: did you mean cat.png?\n",
        ),
        (
            [
                *("prompt=a", "condition=partial_noise"),
                *("condition.clip=ball.mp4", "condition.strength=2"),
            ],
            "mmdiff generate: strength of PartialNoise is 2; it must be a number from 0 to 1: 1\n",
        ),
        (
            ["prompt=a", "condition=first_frame"],
            "mmdiff generate: condition.image is not given\n",
        ),
        (
            ["prompt=a", "conditions=[{_target_: os.system, command: ls}]"],
            "mmdiff generate: conditions[0]._target_ names os.system, which a configuration may "
            "not call\n",
        ),
        (["image=cat.png"], "mmdiff generate: there is no prompt\n"),
    ],
)
def test_wrong_words_are_told_before_any_work(files, words, message, capsys):
    assert verb.main([*words, "output=made.mp4"]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith(message), shown
    assert not (files / "made.mp4").exists()


def test_torch_is_not_touched(files):
    state = torch.get_rng_state()
    chosen_conditions(None, None, {"image": "cat.png"})
    assert torch.equal(torch.get_rng_state(), state)
