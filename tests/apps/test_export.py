"""Runs become a pipeline folder, which makes clips, is measured, and passes the doctor."""

import json
import shutil

import pytest
import torch
import yaml

from mmdiff.apps import doctor, evaluate, export, generate
from mmdiff.apps.run_folder import run_configuration, shape_trained_on, trained_for
from mmdiff.data.latent_cache import LatentCache, cache_spec
from mmdiff.values.latents import ClipLatents
from tests.pipelines.tiny import tiny_components

PARTS = {
    "vae": ["vae"],
    "audio": ["audio_vae"],
    "vocoder": ["vocoder"],
    "diffusion": ["transformer", "text_encoder", "tokenizer"],
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    components = tiny_components()
    for run, names in PARTS.items():
        for name in names:
            components[name].save_pretrained(folder / run / "components" / name)
    target = "mmdiff.diffusion.noise_schedule.Flow"
    objective = {"noise_schedule": {"_target_": target}, "parameterization": "velocity"}
    (folder / "diffusion" / "resolved.yaml").write_text(yaml.safe_dump({"objective": objective}))
    return folder


def words(runs, output):
    return [
        f"vae_run={runs / 'vae'}",
        f"audio_vae_run={runs / 'audio' / 'components' / 'audio_vae'}",
        f"vocoder_run={runs / 'vocoder'}",
        f"diffusion_run={runs / 'diffusion'}",
        f"output_dir={output}",
        "default_num_frames=5",
        "default_height=32",
        "default_width=32",
        "default_num_inference_steps=2",
    ]


@pytest.fixture(scope="module")
def pipeline(runs):
    assert export.main(words(runs, runs / "pipeline")) == 0
    return runs / "pipeline"


def test_the_folder_is_a_pipeline_and_nothing_else_is_left(pipeline, runs):
    index = json.loads((pipeline / "model_index.json").read_text())
    assert index["default_num_frames"] == 5
    assert index["scheduler"] == ["diffusers", "FlowMatchEulerDiscreteScheduler"]
    assert not list(runs.glob(".export-*"))
    assert not [path for path in pipeline.rglob("*") if path.suffix in (".bin", ".pt", ".pkl")]


def test_sizes_are_those_of_most_clips_that_it_was_trained_on(cached, runs, tmp_path):
    copy = cached(runs / "vae/components/vae")
    cache = LatentCache(copy / "c")
    for count, shape in ((1, (4, 3, 2, 2)), (3, (4, 5, 6, 8)), (2, (4, 1, 8, 8))):
        latents = ClipLatents(video=torch.zeros(count, *shape))
        cache.write_shard(latents, [f"{shape}{i}" for i in range(count)], torch.float16)
    assert shape_trained_on(run_configuration(copy / "diffusion")) == {
        "num_frames": 17,
        "height": 48,
        "width": 64,
    }


def test_it_is_replaced_only_when_asked(pipeline, runs, tmp_path, capsys):
    assert export.main(words(runs, pipeline)) == 2
    assert "overwrite=true" in capsys.readouterr().err
    assert export.main([*words(runs, pipeline), "overwrite=true", "dtype=float32"]) == 0
    (tmp_path / "mine.txt").write_text("mine")
    assert export.main([*words(runs, tmp_path), "overwrite=true"]) == 2
    assert (tmp_path / "mine.txt").is_file()


def test_a_wrong_run_is_told_with_its_neighbour(runs, tmp_path, capsys):
    asked = [*words(runs, tmp_path / "x"), f"vocoder_run={runs / 'vocodr'}"]
    assert export.main(asked) == 2
    shown = capsys.readouterr().err
    assert f"nearest  vocoder_run={runs / 'vocoder'}" in shown
    assert not (tmp_path / "x").exists()


@pytest.fixture
def cached(runs, tmp_path):
    """A copy of the runs, whose diffusion run names the cache that the returned function fills."""
    copy = tmp_path / "runs"
    shutil.copytree(runs, copy, ignore=shutil.ignore_patterns("pipeline"))
    path = copy / "diffusion" / "resolved.yaml"
    config = {**yaml.safe_load(path.read_text()), "data": {"dataset": {"folder": str(copy / "c")}}}
    path.write_text(yaml.safe_dump(config))

    def fill(vae):
        parts = {"vae": str(vae), "audio_vae": str(copy / "audio/components/audio_vae")}
        LatentCache(copy / "c").write_spec(cache_spec(parts))
        return copy

    return fill


def test_latents_of_the_same_autoencoders_pass(cached, runs, tmp_path):
    copy = cached(runs / "vae/components/vae")
    assert export.main(words(copy, tmp_path / "out")) == 0


def test_latents_of_another_autoencoder_are_told(cached, tmp_path, capsys):
    torch.manual_seed(5)
    other = tiny_components()["vae"]
    torch.nn.init.normal_(other.decoder.head.weight)
    other.save_pretrained(tmp_path / "other")
    copy = cached(tmp_path / "other")
    assert export.main(words(copy, tmp_path / "out")) == 2
    shown = capsys.readouterr().err
    assert f"latents of another vae than that in {copy / 'vae/components/vae'}" in shown
    assert "vae_run=RUN of the vae" in shown and "check_latents=false" in shown
    assert not (tmp_path / "out").exists()
    assert export.main([*words(copy, tmp_path / "out"), "check_latents=false"]) == 0


def test_a_cache_that_is_gone_is_told(cached, runs, tmp_path, caplog):
    copy = cached(runs / "vae/components/vae")
    shutil.rmtree(copy / "c")
    assert export.main(words(copy, tmp_path / "out")) == 0
    assert "cannot be checked" in caplog.text


def test_what_it_was_trained_for(runs):
    found = {"noise_schedule": "flow", "parameterization": "velocity"}
    for run in (runs / "diffusion", runs / "diffusion" / "components"):
        assert trained_for(run_configuration(run)) == found


def test_it_makes_a_clip(pipeline, tmp_path, capsys):
    output = tmp_path / "clip.mp4"
    assert (
        generate.main(["prompt=a red ball, a ping", f"checkpoint={pipeline}", f"output={output}"])
        == 0
    )
    assert output.stat().st_size > 500
    assert json.loads((tmp_path / "clip.json").read_text())["settings"]["checkpoint"] == "pipeline"


@pytest.mark.parametrize("wrong", ["num_frames=20", "height=33", "num_inference_steps=0"])
def test_impossible_sizes_are_one_screen(pipeline, tmp_path, capsys, wrong):
    asked = ["prompt=a", f"checkpoint={pipeline}", f"output_dir={tmp_path / 'o'}", wrong]
    assert generate.main(asked) == 2
    shown = capsys.readouterr().err
    assert wrong.split("=")[0] in shown
    assert "Traceback" not in shown
    assert not list(tmp_path.iterdir())


def test_it_is_measured(pipeline, tmp_path, capsys):
    asked = [
        f"checkpoint={pipeline}",
        f"output_dir={tmp_path}",
        "evaluation.num_seen=2",
        "evaluation.num_held_out=1",
        "evaluation.num_reconstructed=3",
        "evaluation.num_other=1",
        "evaluation.other_shapes=[[9,32,32]]",
    ]
    assert evaluate.main(asked) == 0
    report = json.loads((tmp_path / "evaluation.json").read_text())
    assert {"adherence", "sync", "adherence_held_out", "video_reconstruction"} <= set(
        report["results"]
    )
    assert "adherence_9x32x32" in report["results"]
    assert (tmp_path / "evaluation.md").read_text().startswith("### Adherence")


def test_the_doctor_names_a_damaged_model(pipeline, tmp_path, capsys):
    assert doctor.main([f"checkpoint={tmp_path}"]) == 1
    shown = capsys.readouterr().out
    assert "BROKEN  model" in shown
    assert "hint: " in shown
