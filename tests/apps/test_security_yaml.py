"""S9, S12: what is read from YAML is data; what is written to disk holds no secret."""

import logging

import pytest
import yaml

from mmdiff.apps import generate
from mmdiff.apps.compose import composed, instantiate, load_resolved, resolved, save_resolved
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


@pytest.fixture
def secrets(monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    return SECRETS


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch marker']",
        "a: !!python/name:os.system",
        "a: !!python/object/new:pathlib.PosixPath ['/']",
        "a: !include /etc/passwd",
        "a: [",
        "- a",
        "a: \x00",
        "",
    ],
)
def test_s9_yaml_with_tags_or_damage_is_refused(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "resolved.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"resolved\.yaml .*; take the one that the run wrote"):
        load_resolved(path)
    assert list(tmp_path.iterdir()) == [path]


def test_s9_a_configuration_from_a_file_cannot_ask_for_the_environment(tmp_path, secrets):
    asking = "${oc.env:HF_TOKEN} \\${oc.env:HF_TOKEN} ${oc.decode:${oc.env:MY_PASSWORD}} $"
    node = {"_target_": "mmdiff.bounce.caption.EventCaptions", "dataset": asking}
    save_resolved({"node": node}, tmp_path)
    read = load_resolved(tmp_path / "resolved.yaml")["node"]
    assert read == node
    shape = {"_target_": "mmdiff.values.shapes.ClipShape", "num_frames": asking}
    with pytest.raises(UsageError, match=r"possible is a whole number") as told:
        instantiate(shape)
    ddim = {"_target_": "diffusers.DDIMScheduler", "_partial_": True, "beta_schedule": asking}
    assert instantiate(ddim).keywords == {"beta_schedule": asking}
    image = {"_target_": "mmdiff.conditioning.first_frame.FirstFrame", "image": asking}
    with pytest.raises(UsageError, match="no such file") as untold:
        instantiate(image)
    assert asking in str(untold.value)
    assert not any(value in str(told.value) for value in SECRETS.values())


def test_s9_names_of_a_run_are_names_only(tmp_path):
    objective = {"noise_schedule": {"_target_": "os.system"}, "parameterization": "velocity"}
    (tmp_path / "resolved.yaml").write_text(yaml.safe_dump({"objective": objective}))
    assert trained_for(tmp_path) == {"noise_schedule": "system", "parameterization": "velocity"}
    with pytest.raises(ValueError, match="system"):
        tiny_pipeline(**trained_for(tmp_path))("red")


def test_s12_secrets_are_known_by_the_names_of_their_variables(secrets, monkeypatch):
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false-and-longer")
    monkeypatch.setenv("HF_TOKEN_PATH", "/home/somebody/token")
    monkeypatch.setenv("MAX_TOKENS", "512")
    for name, value in SECRETS.items():
        assert secret_in(f"a {value} b") == name
        assert concealed(f"a {value} b") == f"a [${name}] b"
    plain = "false-and-longer /home/somebody/token 512"
    assert (secret_in(plain), concealed(plain)) == ("", plain)


@pytest.mark.parametrize("name", SECRETS)
def test_s12_a_secret_in_a_configuration_is_refused_before_it_is_written(tmp_path, secrets, name):
    words = [f"components.vae='${{oc.env:{name}}}'", f"output_dir={tmp_path / 'run'}"]
    config = resolved(composed("train", words), "train")
    assert config["components"]["vae"] == SECRETS[name]
    with pytest.raises(UsageError, match=rf"components\.vae holds .* variable {name}") as told:
        save_resolved(config, tmp_path / "run")
    assert SECRETS[name] not in told.value.screen("train")
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
    for value in SECRETS.values():
        assert value not in said
        assert not any(value.encode() in path.read_bytes() for path in written)
