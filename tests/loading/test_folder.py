"""Where a pipeline is looked for, and what is said when it is not there."""

from pathlib import Path

import pytest

from mmdiff.loading import folder
from mmdiff.loading.folder import pipeline_folder
from mmdiff.loading.json_file import CheckpointError


def made(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "model_index.json").write_text("{}")
    return path


def test_a_local_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    assert pipeline_folder(made(tmp_path / "mine")) == tmp_path / "mine"


def test_a_missing_folder_names_the_nearest(tmp_path: Path) -> None:
    made(tmp_path / "circles")
    with pytest.raises(
        CheckpointError, match=r"there is no folder .*circle; did you mean .*circles"
    ):
        pipeline_folder(tmp_path / "circle")


def test_a_folder_without_index_names_the_one_inside(tmp_path: Path) -> None:
    made(tmp_path / "run" / "pipeline")
    with pytest.raises(
        CheckpointError, match=r"run holds no model_index.json; did you mean .*run/pipeline"
    ):
        pipeline_folder(tmp_path / "run")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="is a file; give the folder"):
        pipeline_folder(tmp_path / "x.safetensors")


def test_an_installation_without_the_bundled_model_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder.resources, "files", lambda package: tmp_path)
    with pytest.raises(CheckpointError, match="bundled model is not in this installation"):
        pipeline_folder(None)
    made(tmp_path / "pretrained" / "bounce")
    assert pipeline_folder(None) == tmp_path / "pretrained" / "bounce"


def test_a_hub_name_that_is_not_at_hand_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"'nobody/nothing' is neither a folder here .* nor a repository"
    ):
        pipeline_folder("nobody/nothing", cache_dir=tmp_path, local_files_only=True)


def test_only_safe_files_are_asked_of_the_hub(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = {}

    def download(name: str, **options: object) -> str:
        asked.update(options, name=name)
        return str(made(tmp_path / "snapshot"))

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert pipeline_folder("somebody/clips", revision="v1") == tmp_path / "snapshot"
    assert asked["name"] == "somebody/clips" and asked["revision"] == "v1"
    assert not any(pattern.endswith((".bin", ".py", "*")) for pattern in asked["allow_patterns"])
