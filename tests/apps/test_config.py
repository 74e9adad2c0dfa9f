"""Nodes are checked before anything runs; what is read from YAML is data; what is written to disk
holds no secret."""

import logging
import sys
import types

import pytest
import yaml

from mmdiff.apps import generate
from mmdiff.apps.compose import composed, resolved
from mmdiff.apps.config import check_nodes, instantiate, load_resolved, save_resolved
from mmdiff.apps.run_folder import trained_for
from mmdiff.media.redaction import concealed, secret_in
from mmdiff.values.usage_error import UsageError
from tests.pipelines.tiny import tiny_pipeline

SECRETS = {
    "HF_TOKEN": "hf_abcdefghijklmnopqrstuv",
    "WANDB_API_KEY": "0123456789abcdef0123456789abcdef01234567",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG",
    "MY_PASSWORD": "correct horse battery",
}
SHAPE = {"_target_": "mmdiff.values.shapes.ClipShape"}


@pytest.fixture
def secrets(monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    return SECRETS


def test_instantiate_builds_nested_nodes():
    made = instantiate({"a": {"b": [{**SHAPE, "num_frames": 5}]}})
    assert made["a"]["b"][0].num_frames == 5
    late = instantiate({"_target_": "torch.optim.AdamW", "_partial_": True, "lr": 0.1})
    assert late.keywords == {"lr": 0.1}


@pytest.mark.parametrize("name", ["os.system", "hydra.utils.get_method", "mmdiff.Clip.save"])
def test_s5_nested_gadgets_are_refused_before_anything_runs(name):
    inner = {"_target_": name, "_partial_": True}
    for config in (
        {"_target_": "torch.optim.AdamW", "_partial_": True, "lr": inner},
        {"a": {"b": [{"c": inner}]}},
    ):
        for refuses in (check_nodes, instantiate):
            with pytest.raises(UsageError, match="may not call"):
                refuses(config)


def command_lines(marker):
    """Every way in which a configuration can name a gadget."""
    call = f"{{_target_:os.system,command:'touch {marker}'}}"
    return [
        ["scheduler=ddim", "scheduler._target_=os.system"],
        [f"+scheduler={call}"],
        ["scheduler=ddim", f"scheduler.beta_start={call}"],
        ["scheduler=ddim", f"scheduler.trained_betas=[{call}]"],
        ["scheduler=ddim", "scheduler._target_=functools.partial", "+scheduler._args_=[os.system]"],
        ["scheduler=ddim", "scheduler._target_=os.system", "+scheduler._partial_=true"],
        ["seed=1", "scheduler=ddim", "output=os.system", "scheduler._target_=${output}"],
        ["guidance=projected", f"guidance.projected.eta={call}"],
        ["guidance=projected", "+guidance.projected._recursive_=false", "guidance.projected.eta=x"],
        [f"prompt={call}", "scheduler=ddim", "scheduler._target_=${prompt}"],
        [f"conditions=[{call}]"],
        [f"condition={call}"],
        [f"seed={call}"],
        [f"paths={call}"],
    ]


@pytest.mark.parametrize("way", range(14))
def test_s5_no_way_into_a_command_line_runs_a_gadget(way, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mmdiff.apps.generate.load_pipeline", lambda *_, **__: pytest.fail("ran"))
    assert generate.main(["prompt=a", *command_lines(tmp_path / "marker")[way]]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_s5_a_foreign_configuration_folder_runs_no_gadget(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "conf" / "guidance"
    folder.mkdir(parents=True)
    text = "# @package guidance.bad\n_target_: os.system\ncommand: touch marker\n"
    (folder / "bad.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    words = ["prompt=a", "--config-dir", str(tmp_path / "conf"), "guidance=bad"]
    assert generate.main(words) == 2
    assert "may not call" in capsys.readouterr().err
    assert not (tmp_path / "marker").exists()


def test_a_class_of_the_users_own_is_built_where_its_module_is_trusted(monkeypatch, capsys):
    """By the command line alone: what stands in a node of YAML cannot say so itself."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    class Mine(FlowMatchEulerDiscreteScheduler):
        pass

    Mine.__module__, Mine.__qualname__ = "mypkg", "Mine"
    module = types.ModuleType("mypkg")
    module.Mine = Mine
    monkeypatch.setitem(sys.modules, "mypkg", module)
    seen = []
    monkeypatch.setattr("mmdiff.apps.generate.load_pipeline", lambda *_, **__: tiny_pipeline())
    monkeypatch.setattr(
        "mmdiff.apps.generate.use_schedulers", lambda _, one, __: seen.append(one) or sys.exit(7)
    )
    words = ["prompt=a", "scheduler=flow_match_euler", "scheduler._target_=mypkg.Mine"]
    assert generate.main(words) == 2
    assert "hint     trust_modules=[mypkg]" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        generate.main([*words, "trust_modules=[mypkg]"])
    assert isinstance(seen[0], Mine)
    assert generate.main([*words, "trust_modules=mypkg"]) == 2
    assert "trust_modules is mypkg; possible is a list of" in capsys.readouterr().err


SIZES = {
    "autoencoder=video": ["latent_channels", "encoder_widths", "decoder_widths"],
    "autoencoder=audio": ["mel_bins", "latent_channels", "fine_width"],
    "vocoder=small": ["mel_bins", "hop_length", "width", "hidden", "output_sampling_rate"],
    "backbone=tiny": [
        *("num_attention_heads", "attention_head_dim", "num_layers", "patch_size"),
        *("video_channels", "audio_channels", "audio_rows", "audio_patch_size"),
        *("frames_per_slice", "time_attention_every"),
    ],
    "mel=default": ["hop_length", "mel_bins", "sample_rate"],
    "critic=video": ["network.width"],
    "critic=spectrogram": ["network.width", "network.n_ffts"],
}


@pytest.mark.parametrize("option", SIZES)
def test_sizes_that_no_layer_has_are_refused_by_name(option):
    group = option.split("=")[0]
    node = resolved(composed("train", [option, "text=tiny"]), "train")[group]
    for name in SIZES[option]:
        *parents, last = name.split(".")
        parent = node[parents[0]] if parents else node
        good = parent[last]
        for wrong in (-1, 0, 10**9):
            parent[last] = [wrong, *good[1:]] if isinstance(good, list) else wrong
            with pytest.raises(UsageError, match=rf"^\w*{last}( is|, )"):
                instantiate(node)
        parent[last] = good


def test_a_constructor_of_another_library_is_reported_whatever_it_raises(tmp_path):
    trainer = {"_target_": "lightning.pytorch.Trainer", "accelerator": "cpu", "logger": False}
    with pytest.raises(UsageError, match=r"Trainer cannot be built .*profiler"):
        instantiate(trainer, profiler="stopwatch", default_root_dir=str(tmp_path))


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch marker']",
        "a: !!python/name:os.system",
        "a: !include /etc/passwd",
        "a: [",
        "- a",
        "a: \x00",
        "",
        "a: &a [*a]",
        "a: &a {b: *a}",
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]",
        f"a: {'[' * 5000}{']' * 5000}",
        f"a: {' ' * 300_000}b",
    ],
    ids=range(12),
)
def test_s9_yaml_with_tags_aliases_or_damage_is_refused(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "resolved.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"resolved\.yaml .*; take the one that the run wrote"):
        load_resolved(path)
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_written_has_no_aliases(tmp_path):
    shared = [1, 2]
    path = save_resolved({"a": shared, "b": {"c": shared}}, tmp_path)
    assert load_resolved(path) == {"a": [1, 2], "b": {"c": [1, 2]}}


def test_s9_a_configuration_from_a_file_cannot_ask_for_the_environment(tmp_path, secrets):
    asking = "${oc.env:HF_TOKEN} \\${oc.env:HF_TOKEN} ${oc.decode:${oc.env:MY_PASSWORD}} $"
    node = {"_target_": "mmdiff.bounce.caption.EventCaptions", "dataset": asking}
    save_resolved({"node": node}, tmp_path)
    assert load_resolved(tmp_path / "resolved.yaml")["node"] == node
    with pytest.raises(UsageError, match=r"possible is a whole number") as caught:
        instantiate({**SHAPE, "num_frames": asking})
    assert not any(value in str(caught.value) for value in SECRETS.values())
    ddim = {"_target_": "diffusers.DDIMScheduler", "_partial_": True, "beta_schedule": asking}
    assert instantiate(ddim).keywords == {"beta_schedule": asking}


def test_s9_names_of_a_run_are_names_only():
    objective = {"noise_schedule": {"_target_": "os.system"}, "parameterization": "velocity"}
    found = trained_for({"objective": objective})
    assert found == {"noise_schedule": "system", "parameterization": "velocity"}
    with pytest.raises(ValueError, match="system"):
        tiny_pipeline(**found)("red")


def test_s12_secrets_are_known_by_the_names_of_their_variables(secrets, monkeypatch):
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false-and-longer")
    monkeypatch.setenv("HF_TOKEN_PATH", "/home/somebody/token")
    monkeypatch.setenv("MAX_TOKENS", "512")
    for name, value in SECRETS.items():
        assert secret_in(f"a {value} b") == name
        assert concealed(f"a {value} b") == f"a [${name}] b"
    plain = "false-and-longer /home/somebody/token 512"
    assert (secret_in(plain), concealed(plain)) == ("", plain)


def test_s12_a_secret_in_a_configuration_is_refused_before_it_is_written(tmp_path, secrets):
    words = ["components.vae='${oc.env:HF_TOKEN}'", f"output_dir={tmp_path / 'run'}"]
    config = resolved(composed("train", words), "train")
    with pytest.raises(UsageError, match=r"components\.vae holds .* variable HF_TOKEN") as caught:
        save_resolved(config, tmp_path / "run")
    assert SECRETS["HF_TOKEN"] not in caught.value.screen("train")
    assert not list(tmp_path.iterdir())


def test_s12_nothing_that_generate_writes_or_says_holds_a_secret(
    tmp_path, secrets, monkeypatch, capsys, caplog
):
    caplog.set_level(logging.DEBUG)
    tiny_pipeline().save_pretrained(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    words = [f"prompt=a {SECRETS['HF_TOKEN']}", "checkpoint=model", "output=clip.mp4"]
    assert generate.main(words) == 0
    shown = capsys.readouterr()
    said = shown.out + shown.err + caplog.text
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 10
    for value in SECRETS.values():
        assert value not in said
        assert not any(value.encode() in content for content in written)


@pytest.mark.slow
def test_s12_nothing_that_a_training_run_writes_or_says_holds_a_secret(
    tmp_path, secrets, capsys, caplog
):
    from mmdiff.apps import train

    caplog.set_level(logging.DEBUG)
    words = ["experiment=bounce/video_autoencoder", "max_steps=2", "data.batch_size=2"]
    words += ["autoencoder.encoder_widths=[8,8,8]", "autoencoder.decoder_widths=[8,8,8]"]
    words += ["module.scaling_batches=1", f"output_dir={tmp_path}"]
    assert train.main(words) == 0
    shown = capsys.readouterr()
    said = shown.out + shown.err + caplog.text
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"resolved.yaml", "manifest.json", "config.json"} <= {path.name for path in written}
    assert yaml.safe_load((tmp_path / "resolved.yaml").read_text())["max_steps"] == 2
    for value in SECRETS.values():
        assert value not in said
        assert not any(value.encode() in path.read_bytes() for path in written)
