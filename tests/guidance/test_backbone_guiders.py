from pathlib import Path

import pytest
import torch

from mmdiff.guidance.backbone_guiders import Autoguidance, SkipLayer
from mmdiff.guidance.guided_denoiser import GuidedDenoiser
from tests.guidance.small_model import MODEL, POSITIVE, Counted, clip, levels, small_transformer


def run(guider: Autoguidance) -> torch.Tensor:
    video = GuidedDenoiser(Counted(), POSITIVE, guiders=[guider])(clip(), levels()).video
    assert video is not None
    return video


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pipeline")
    small_transformer(seed=9).save_pretrained(path / "transformer")
    return path


def test_a_folder_and_a_pipelines_folder_are_the_module(folder: Path) -> None:
    expected = run(Autoguidance(2.0, transformer=small_transformer(seed=9)))
    for path in (folder, str(folder / "transformer")):
        assert torch.equal(run(Autoguidance(2.0, transformer=path)), expected)


def test_away_from_itself_is_nowhere() -> None:
    plain = run(Autoguidance(0.0, transformer=MODEL))
    assert torch.allclose(run(Autoguidance(5.0, transformer=MODEL)), plain, atol=1e-5)


def test_it_is_named_by_its_folder_and_not_by_its_weights(folder: Path) -> None:
    assert repr(Autoguidance(2.0, transformer=folder)).endswith(f"transformer={str(folder)!r})")
    assert len(repr(Autoguidance(2.0, transformer=MODEL))) < 200


def test_what_is_no_transformer_teaches(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"transformer is .*no config.json"):
        Autoguidance(transformer=tmp_path / "nowhere")
    with pytest.raises(TypeError, match=r"transformer is a int"):
        Autoguidance(transformer=3)  # type: ignore[arg-type]


def test_weights_that_do_not_fit_teach(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    small_transformer().save_pretrained(tmp_path)
    (weights,) = tmp_path.glob("*.safetensors")
    tensors = load_file(weights)
    tensors.pop("text_embed.0.weight")
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"weights missing: text_embed.0.weight"):
        run(Autoguidance(transformer=tmp_path))


def test_blocks_that_are_none_are_refused() -> None:
    for blocks in ((), (-1,), (1, 1), ("2",)):
        with pytest.raises(ValueError, match=r"blocks is .*for example \(2,\)"):
            SkipLayer(blocks=blocks)  # type: ignore[arg-type]
