"""Twelve things that users of other tools reported, each through a public entry of ours."""

import json
import warnings
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from mmdiff import Clip, GivenAudio, MMDiffPipeline
from mmdiff.__main__ import main

PROMPT = "a small red circle bouncing left and right quickly on a black background, no sound"
NAMES = (
    *("IMG_0001 (1)", "clip, final", "résumé", "日本語", "it's", "a=b", "a&b", "a[1]", "a{1}"),
    *("clip#2", " lead", "a!b", "a;b", "😀", "a+b", "100%"),
)


@pytest.fixture(scope="module")
def pipe() -> MMDiffPipeline:
    pipe = MMDiffPipeline.from_pretrained()
    pipe.set_progress_bar_config(disable=True)
    return pipe


def write_video(
    path: Path, frames: Iterable[av.VideoFrame], codec: str = "libx264", **settings: object
) -> Path:
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=16)
        for index, frame in enumerate(frames):
            if index == 0:
                stream.width, stream.height = frame.width, frame.height
                for name, value in settings.items():
                    owner = stream if hasattr(type(stream), name) else stream.codec_context
                    setattr(owner, name, value)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def write_sound(path: Path, samples: np.ndarray, layout: str) -> Path:
    """samples  channels samples, int16, at 48 kHz."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("flac", rate=48_000, layout=layout)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples.T.reshape(1, -1)), format="s16", layout=layout
        )
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def generate(*words: str) -> int:
    return main(["generate", f"prompt={PROMPT}", "num_inference_steps=1", *words])


def test_caption_length_is_one_limit_for_training_and_sampling(
    pipe: MMDiffPipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """musubi-tuner#1002, OneTrainer#914: and `data-check` counts the captions that are cut."""
    (tmp_path / "clips").mkdir()
    captions = (" ".join(["a white cockatoo perches on a branch"] * 6), "red " * 600)
    for index, caption in enumerate(captions):
        Clip(torch.zeros(33, 64, 64, 3, dtype=torch.uint8)).save(tmp_path / f"clips/{index}.mp4")
        (tmp_path / f"clips/{index}.txt").write_text(caption)
    folder = f"output_dir={tmp_path / 'out'}"
    words = ["data-check", "data=folder", f"data.root={tmp_path / 'clips'}", folder]
    main([*words, "data.batch_size=1"])
    assert "caption cut 601 -> 512 tokens" in capsys.readouterr().out
    with pytest.warns(UserWarning, match="longer than 512 tokens"):
        pipe(captions[1], num_inference_steps=1, output_type="latent")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipe(captions[0], num_inference_steps=1, output_type="latent")


def test_channel_layout_decides_how_a_sound_is_mixed(pipe: MMDiffPipeline, tmp_path: Path) -> None:
    """pytorch/audio#877: speech in the center of 5.1 stays as loud, the LFE is left out."""
    tone = 16_000 * np.sin(2 * np.pi * 440 * np.arange(144_000) / 48_000)

    def loudness(channel: int) -> float:
        samples = np.zeros((6, len(tone)), "<i2")
        samples[channel] = tone
        given = GivenAudio(write_sound(tmp_path / f"{channel}.flac", samples, "5.1"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            clip = pipe(PROMPT, conditions=[given], num_inference_steps=1).clips[0]
        return float(10 * torch.log10(clip.waveform.square().mean() + 1e-12))

    assert loudness(2) == pytest.approx(-9.2, abs=3.5)  # the center goes to both fronts at -3 dB
    assert loudness(3) < -60


def test_pixel_aspect_keeps_a_circle_round(tmp_path: Path) -> None:
    """torchcodec#733, moviepy#1330."""
    rows, columns = np.mgrid[:180, :180]
    pixels = np.zeros((180, 180, 3), np.uint8)
    pixels[((columns - 90) * 16 / 9) ** 2 + (rows - 90) ** 2 < 70**2] = 255
    frames = [av.VideoFrame.from_ndarray(pixels, format="rgb24") for _ in range(9)]
    path = write_video(tmp_path / "a.mp4", frames, sample_aspect_ratio=Fraction(16, 9))
    is_white = Clip.load(path).frames[0, ..., 0] > 128
    width, height = int(is_white.any(0).sum()), int(is_white.any(1).sum())
    assert width / height == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("curve, white", [(16, 0.5806), (18, 0.75)], ids=["pq", "hlg"])
def test_transfer_curve_of_hdr_is_undone(tmp_path: Path, curve: int, white: float) -> None:
    """librephotos#2044, torchcodec#1170: diffuse white (203 cd/m2, BT.2408) is white."""

    def frame() -> av.VideoFrame:
        frame = av.VideoFrame(96, 64, "yuv420p10le")
        for plane, value in zip(frame.planes, (round(64 + 876 * white), 512, 512), strict=True):
            plane.update(np.full(plane.buffer_size // 2, value, "<u2").tobytes())
        frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range = 9, curve, 9, 1
        return frame

    path = write_video(
        tmp_path / "a.mp4",
        (frame() for _ in range(9)),
        pix_fmt="yuv420p10le",
        color_primaries=9,
        color_trc=curve,
        colorspace=9,
        color_range=1,
    )
    clip = Clip.load(path)
    assert clip.frames.float().mean() > 240
    assert clip.notes


@pytest.mark.parametrize("kind", ["png", "webp", "la", "trns", "mov"])
def test_transparency_shows_nothing_of_what_lies_under_it(tmp_path: Path, kind: str) -> None:
    """sd-scripts#1269, mflux#722."""

    def read(value: int) -> torch.Tensor:
        path = tmp_path / f"{value}.{kind if kind in ('webp', 'mov') else 'png'}"
        pixels = np.full((64, 96, 4), (value, 10, 200 - value, 0), np.uint8)
        if kind == "la":
            Image.new("LA", (96, 64), (value, 0)).save(path)
        elif kind == "trns":
            color = (value, 0, 255 - value)
            Image.new("RGB", (96, 64), color).save(path, transparency=color)
        elif kind == "mov":
            frame = av.VideoFrame.from_ndarray(pixels, format="rgba").reformat(format="argb")
            write_video(path, [frame] * 9, "qtrle", pix_fmt="argb")
        else:
            Image.fromarray(pixels).save(path, **({"exact": True} if kind == "webp" else {}))
        return Clip.load(path).frames

    assert torch.equal(read(20), read(200))


@pytest.mark.parametrize("peak", [1.5, 4.0, 32768.0])
def test_over_full_scale_is_scaled_and_reported_or_refused(tmp_path: Path, peak: float) -> None:
    """pytorch/audio#3730, stable-audio-3#78."""
    path = tmp_path / "hot.wav"
    tone = (peak * np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000)).astype(np.float32)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("pcm_f32le", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone[None], format="flt", layout="mono")
        frame.sample_rate, frame.pts = 48_000, 0
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    if peak > 1000:  # integers written as floats
        with pytest.raises(ValueError, match=r"hot\.wav"):
            Clip.load(path)
        return
    clip = Clip.load(path)
    at_the_rail = (clip.waveform.abs() > 0.9999).float().mean()
    assert clip.notes and at_the_rail < 0.05


@pytest.mark.parametrize("kind", ["mpegts", "mpg", "flv", "tif", "gif"])
def test_named_kinds_of_files_are_read(tmp_path: Path, kind: str) -> None:
    """Good files of less common types were called damaged."""
    path = tmp_path / f"a.{'ts' if kind == 'mpegts' else kind}"
    if kind in ("tif", "gif"):
        Image.new("RGB", (64, 48), (255, 0, 0)).save(path)
    else:
        codec = {"mpegts": "libx264", "mpg": "mpeg2video", "flv": "flv1"}[kind]
        pixels = np.full((48, 64, 3), (255, 0, 0), np.uint8)
        frames = [av.VideoFrame.from_ndarray(pixels, format="rgb24") for _ in range(25)]
        with av.open(str(path), "w") as file:
            stream = file.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for frame in frames:
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
    red, green, blue = Clip.load(path).frames.float().mean(dim=(0, 1, 2)).tolist()
    assert red > 230 and green < 25 and blue < 25


def test_reload_changes_no_bit(pipe: MMDiffPipeline, tmp_path: Path) -> None:
    """The same weights and seed, after a save and a load."""

    def made(pipe: MMDiffPipeline) -> Clip:
        generator = torch.Generator().manual_seed(1)
        return pipe(PROMPT, generator=generator, num_inference_steps=2).clips[0]

    pipe.save_pretrained(tmp_path)
    again = MMDiffPipeline.from_pretrained(tmp_path)
    again.set_progress_bar_config(disable=True)
    first, second = made(pipe), made(again)
    assert torch.equal(first.frames, second.frames)
    assert torch.equal(first.waveform, second.waveform)


@pytest.mark.slow
def test_multirun_writes_one_file_a_job_or_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """lightning-hydra-template#511, hydra#2103."""
    monkeypatch.chdir(tmp_path)
    code = generate("-m", "seed=0,1", "output=x.mp4")
    assert code == 2 or len(list(tmp_path.rglob("*.mp4"))) == 2


@pytest.mark.slow
def test_prompt_lines_end_where_a_text_file_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """U+2028, U+0085, vertical tab and form feed are signs within a line."""
    monkeypatch.chdir(tmp_path)
    lines = ["a red circle\u2028bouncing", "a blue\x0bsquare", "third \x85 one", "four\x0cth"]
    Path("p.txt").write_bytes("\n".join(lines).encode())
    code = main(["generate", "prompts=p.txt", "num_inference_steps=1", "output_dir=out"])
    prompts = [json.loads(path.read_text())["prompt"] for path in Path("out").rglob("*.json")]
    assert code == 0 and sorted(prompts) == sorted(lines)


@pytest.mark.slow
def test_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the shell leaves it as it is."""
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(work)
    assert generate("output_dir=~/out") == 0
    assert not list(work.iterdir()) and list((home / "out").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("key", ["image", "condition.image"])
def test_path_keys_take_any_name_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """hydra#1074, hydra#962: here a name that is not there comes back in the message."""
    monkeypatch.chdir(tmp_path)
    chosen = ["condition=first_frame"] if "." in key else []
    for name in NAMES:
        assert generate(*chosen, f"{key}={name}.png") == 2
        assert f"{name}.png" in capsys.readouterr().err.replace("\n", " ")
