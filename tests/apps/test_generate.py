"""What `mmdiff generate` asks of a pipeline and writes, with a pipeline that costs nothing."""

import json
import resource
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mmdiff.apps import generate as verb
from mmdiff.apps.clip_jobs import MAX_LENGTH, ClipJob, file_stem, targets_of
from mmdiff.apps.loaded_pipeline import chosen_device
from mmdiff.apps.prompts import prompt_rows
from mmdiff.media.clip import Clip
from mmdiff.values.usage_error import UsageError

PROMPT = "a small red circle bouncing left and right quickly on a black background, a high ping"


class StubPipeline:
    """Gray frames as light as the first number of each generator, and a tone."""

    device = torch.device("cpu")
    audio_scheduler = None
    tokenizer = SimpleNamespace(init_kwargs={"words": ["a", "ball"]})

    def __init__(self):
        self.calls = []
        self.scheduler = SimpleNamespace()

    def __call__(self, *, prompt, generator, output_type, **arguments):
        self.calls.append({"prompt": prompt, **arguments})
        halves = arguments.get("modalities", ["video", "audio"])
        clips = []
        for one in generator:
            value = int(255 * torch.rand((), generator=one))
            frames = torch.full((arguments.get("num_frames", 5), 32, 32, 3), value).to(torch.uint8)
            sound = torch.zeros(1, 5000)
            clips.append(
                Clip(
                    frames if "video" in halves else None,
                    Fraction(16),
                    sound if "audio" in halves else None,
                    16000 if "audio" in halves else None,
                )
            )
        return SimpleNamespace(clips=clips)


@pytest.fixture
def pipe(monkeypatch, tmp_path):
    stub = StubPipeline()
    monkeypatch.setattr(verb, "load_pipeline", lambda checkpoint, device: stub)
    monkeypatch.chdir(tmp_path)
    return stub


def test_one_prompt_gives_clip_storyboard_and_sidecar(pipe, tmp_path, capsys):
    assert verb.main([f"prompt={PROMPT}", "output=clip.mp4", "seed=3"]) == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["clip.json", "clip.mp4", "clip.storyboard.png"]
    facts = json.loads((tmp_path / "clip.json").read_text())
    assert facts["prompt"] == PROMPT
    assert facts["seed"] == 3
    assert pipe.calls[0]["prompt"] == [PROMPT]
    assert "clip.mp4  5 frames of 32 x 32 at 16/s" in capsys.readouterr().out


def test_the_name_comes_from_the_prompt(pipe, tmp_path):
    assert verb.main([f"prompt={PROMPT}", "output_dir=here/and there"]) == 0
    made = sorted(path.name for path in (tmp_path / "here" / "and there").iterdir())
    assert made[0].startswith("a-small-red-circle")
    assert len(made) == 3


def test_sample_i_uses_seed_plus_i_in_any_batch(pipe, tmp_path):
    (tmp_path / "prompts.txt").write_text("\ufeffone, a\n\ntwo\nthree: b\n", encoding="utf-8")
    words = ["prompts=prompts.txt", "seed=10", "output=x.png", "modalities=[video]"]
    for size, folder in ((1, "alone"), (8, "batch")):
        (tmp_path / folder).mkdir()
        words[2] = f"output={folder}/x.png"
        assert verb.main([*words, f"batch_size={size}"]) == 0
    alone, batch = (sorted((tmp_path / name).glob("*.png")) for name in ("alone", "batch"))
    assert [path.name for path in alone] == [path.name for path in batch]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(alone, batch, strict=True))
    assert pipe.calls[-1]["prompt"] == ["one, a", "two", "three: b"]
    seeds = [
        json.loads(path.read_text())["seed"] for path in sorted((tmp_path / "batch").glob("*.json"))
    ]
    assert seeds == [10, 11, 12]


def test_several_clips_of_a_prompt(pipe, tmp_path):
    assert verb.main(["prompt=a ball", "num_clips=2", "output_dir=o"]) == 0
    names = sorted(path.name for path in (tmp_path / "o").glob("*.mp4"))
    assert names == ["000-a-ball.mp4", "001-a-ball.mp4"]


@pytest.mark.parametrize(
    "words, suffix",
    [
        (["modalities=[audio]"], ".wav"),
        (["num_frames=1", "modalities=[video]"], ".png"),
        (["modalities=[video]"], ".mp4"),
        ([], ".mp4"),
    ],
)
def test_the_suffix_follows_what_is_made(pipe, tmp_path, words, suffix):
    assert verb.main(["prompt=a", "output_dir=o", *words]) == 0
    assert (tmp_path / "o" / f"a{suffix}").is_file()


@pytest.mark.parametrize(
    "words",
    [
        ["modalities=[audio]", "output=a.mp4"],
        ["output=a.wav"],
        ["output=a.mp3"],
        ["output=a"],
        ["batch_size=0"],
        ["num_clips=0"],
        ["seed=-1"],
        ["prompts=missing.txt"],
        ["output=missing/a.mp4"],
        ["output=."],
        ["guidance=projected", "guidance_rescale=0.5"],
    ],
)
def test_bad_input_is_told_before_any_work(pipe, tmp_path, capsys, words):
    assert verb.main(["prompt=a", *words]) != 0
    shown = capsys.readouterr().err
    assert shown.startswith("mmdiff generate: ")
    assert "Traceback" not in shown
    assert not pipe.calls
    assert not list(tmp_path.iterdir())


def test_an_existing_file_is_kept_when_asked(pipe, tmp_path):
    (tmp_path / "a.mp4").write_text("mine")
    assert verb.main(["prompt=a", "output=a.mp4", "overwrite=false"]) != 0
    assert (tmp_path / "a.mp4").read_text() == "mine"
    assert not pipe.calls


def test_guidance_takes_the_scales_beside_it(pipe):
    words = ["prompt=a", "output=a.mp4", "guidance=[projected,frame_consistency]"]
    scales = ["guidance_scale=7.0", "frame_consistency_scale=1.5", "modality_scale=2.0"]
    assert verb.main([*words, *scales]) == 0
    (call,) = pipe.calls
    projected, frames = call["guidance"]
    assert (projected.guidance_scale, frames.scale) == (7.0, 1.5)
    assert call["modality_scale"] == 2.0
    assert not {"guidance_scale", "frame_consistency_scale"} & set(call)


def test_scales_alone_are_those_of_the_call(pipe):
    assert verb.main(["prompt=a", "output=a.mp4", "frame_consistency_scale=1.5"]) == 0
    assert pipe.calls[0]["frame_consistency_scale"] == 1.5 and "guidance" not in pipe.calls[0]


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "tpu9"])
def test_a_device_that_is_not_there(device):
    with pytest.raises(UsageError):
        chosen_device(device)


@pytest.mark.parametrize(
    "prompt",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "a\0b",
        "x" * 300,
        "CON",
        "lpt1",
        "",
        "...",
        "😀",
        "a/b\\c",
    ],
)
def test_o7_names_stay_in_their_folder(prompt, tmp_path):
    stem = file_stem(prompt)
    assert 0 < len(stem) <= MAX_LENGTH
    assert set(stem) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert stem not in ("con", "lpt1")
    job = ClipJob(prompt, 0, {}, None)
    (path,) = targets_of([job], [".mp4"], output=None, output_dir=str(tmp_path))
    assert path.resolve().parent == tmp_path.resolve()
    assert file_stem("Café au lait!") == "cafe-au-lait"


def test_prompt_files_that_cannot_be_read(tmp_path):
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    (tmp_path / "empty.txt").write_text(" \n\n")
    for name, reason in (("latin.txt", "UTF-8"), ("empty.txt", "no prompt"), ("latn.txt", "not a")):
        with pytest.raises(UsageError, match=reason) as caught:
            prompt_rows(None, str(tmp_path / name), columns={})
    assert caught.value.nearest.endswith("latin.txt")
    with pytest.raises(UsageError, match="both"):
        prompt_rows("a", "b", columns={})
    with pytest.raises(UsageError, match="valid text"):
        prompt_rows("\udcff", None, columns={})


@pytest.mark.parametrize("words", [["output=clip.mp4"], ["output_dir=new/folder"]])
@pytest.mark.parametrize("num_bytes", [0, 64, 512, 1024, 2048, 3072, 4096, 6144])
def test_o2_a_full_disk_is_told_and_leaves_nothing_behind(pipe, tmp_path, capsys, num_bytes, words):
    assert verb.main(["prompt=a", "output=whole.mp4"]) == 0
    largest = max(path.stat().st_size for path in tmp_path.iterdir())
    before = set(tmp_path.rglob("*"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        code = verb.main(["prompt=a", *words])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    shown = capsys.readouterr().err
    written = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    if largest <= num_bytes:
        assert (code, len(written)) == (0, 3)
        return
    assert code == 1
    assert "mmdiff generate: cannot write" in shown
    assert "file too large; no file was left" in shown
    assert set(tmp_path.rglob("*")) == before


def test_o2_a_folder_that_cannot_be_is_told_before_any_work(pipe, capsys):
    assert verb.main(["prompt=a", "output_dir=/dev/null/clips"]) == 1
    assert "cannot write" in capsys.readouterr().err
    assert not pipe.calls


def test_words_that_no_training_caption_held_are_said_in_one_line(pipe, capsys):
    assert verb.main(["prompt=a zebra beside a Ball", "output=a.mp4"]) == 0
    assert capsys.readouterr().err == "no training caption holds: zebra, beside, Ball\n"
    assert verb.main(["prompt=a ball", "output=a.mp4"]) == 0
    assert capsys.readouterr().err == ""


def test_a_damaged_file_is_told_before_the_model_is_loaded(pipe, tmp_path, monkeypatch, capsys):
    def refuse(*arguments, **named):
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(verb, "load_pipeline", refuse)
    (tmp_path / "bad.png").write_bytes(b"no image")
    for words in (
        ["image=bad.png"],
        ["audio=bad.png"],
        ["video=bad.png"],
        ["condition=first_frame", "condition.image=bad.png"],
        ["condition=extend", "condition.clip=bad.png"],
        ["condition=inpaint", "condition.clip=bad.png", "condition.seconds=[0,1]"],
        ["condition=keyframes", "condition.images={0: bad.png}"],
        ["condition=partial_noise", "condition.clip=bad.png", "condition.strength=0.5"],
    ):
        assert verb.main(["prompt=a", *words]) == 2
        assert "bad.png is damaged or not" in capsys.readouterr().err, words


@pytest.mark.slow
def test_a_pipeline_saved_and_loaded_writes_the_same_file_byte_for_byte(tmp_path, monkeypatch):
    from mmdiff import MMDiffPipeline

    monkeypatch.chdir(tmp_path)
    MMDiffPipeline.from_pretrained().save_pretrained("again")
    words = ["prompt=a red circle", "num_inference_steps=2", "num_frames=5"]
    assert verb.main([*words, "output=first.mp4"]) == 0
    assert verb.main([*words, "checkpoint=again", "output=second.mp4"]) == 0
    assert Path("first.mp4").read_bytes() == Path("second.mp4").read_bytes()
