"""Any text encoder of transformers, by configuration alone."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from PIL import Image
from safetensors.torch import load_file, save_file

from mmdiff import MMDiffPipeline
from mmdiff.__main__ import main
from mmdiff.apps.compose import composed, resolved
from mmdiff.data.context_cache import ContextCache, fill_contexts
from mmdiff.loading.folder import pipeline_folder
from mmdiff.loading.json_file import CheckpointError
from mmdiff.text.encoder import encode_prompts
from mmdiff.text.pretrained import encoder_class, pretrained_text_encoder, text_width
from mmdiff.text.tokenizer import caption_length
from mmdiff.training.text_model import frozen_text_model, pretrained_text_model
from mmdiff.values.context import Context
from tests.pipelines.tiny import tiny_components
from tests.text.families import FAMILIES, WIDTH, save_family

PROMPTS = ["a red circle", "", "a large blue square moving left, then two green triangles"]


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_family(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clips")
    for name, caption in (("blue", "a large blue square"), ("red", "a small red circle")):
        Image.new("RGB", (32, 32), name).save(root / f"{name}.png")
        (root / f"{name}.txt").write_text(caption)
    return root


def read(tokenizer: Any, encoder: Any) -> Context:
    with torch.no_grad():
        return encode_prompts(tokenizer, encoder.eval(), PROMPTS)


def assert_equal(one: Context, other: Context) -> None:
    assert torch.equal(one.mask, other.mask)
    assert torch.equal(one.tokens, other.tokens)


def test_it_reads_what_transformers_reads(folder: Path) -> None:
    """The last hidden state behind the final norm, of the whole model as its family loads it."""
    context = read(*pretrained_text_encoder(str(folder)))
    whole = hf.AutoModel.from_pretrained(folder).eval()
    part = getattr(whole, "text_model", None) or getattr(whole, "language_model", None)
    part = part or (whole.encoder if whole.config.is_encoder_decoder else whole)
    tokenizer = hf.AutoTokenizer.from_pretrained(folder)
    for row, prompt in enumerate(PROMPTS):
        ids = tokenizer(prompt).input_ids or [tokenizer.eos_token_id]
        with torch.no_grad():
            alone = part(input_ids=torch.tensor([ids])).last_hidden_state[0]
        assert context.mask[row].sum() == len(ids)
        torch.testing.assert_close(context.tokens[row, : len(ids)], alone, rtol=1e-4, atol=1e-5)
        assert not context.tokens[row, len(ids) :].any()
    rows = tokenizer(PROMPTS[::2], padding=True, padding_side="right", return_tensors="pt")
    with torch.no_grad():
        batch = part(input_ids=rows.input_ids, attention_mask=rows.attention_mask)
    mask = rows.attention_mask.bool()
    assert torch.equal(context.tokens[::2][mask], batch.last_hidden_state[mask])


@pytest.mark.parametrize("is_trained", [False, True])
def test_it_is_trained_exported_and_loaded(
    folder: Path, clips: Path, tmp_path: Path, is_trained: bool
) -> None:
    """Two steps; the width of the text is taken from the encoder, not asked for."""
    run, pipeline = tmp_path / "run", tmp_path / "pipeline"
    words = ["experiment=bounce/diffusion", "backbone=tiny", "text=pretrained", "task=picture_only"]
    words += [f"text.pretrained={folder}", f"text.is_trained={str(is_trained).lower()}"]
    words += ["data=folder", f"data.root={clips}", "data.spec.height=32", "data.spec.width=32"]
    words += ["data.batch_size=2", "data.num_workers=0", "max_steps=2", f"output_dir={run}"]
    assert main(["train", *words]) == 0
    words = [f"diffusion_run={run}", f"output_dir={pipeline}", "dtype=float32"]
    words += [f"{name}_run={pipeline_folder(None) / name}" for name in ("vae", "audio_vae")]
    assert main(["export", *words, f"vocoder_run={pipeline_folder(None) / 'vocoder'}"]) == 0

    pipe = MMDiffPipeline.from_pretrained(pipeline)
    assert pipe.transformer.config.text_dim == WIDTH
    after = read(pipe.tokenizer, pipe.text_encoder)
    assert_equal(after, read(*pretrained_text_encoder(str(run / "components"))))
    before = read(*pretrained_text_encoder(str(folder)))
    if is_trained:
        assert torch.equal(after.mask, before.mask)
        assert not torch.equal(after.tokens, before.tokens)
    else:
        assert_equal(after, before)
    if not is_trained:
        pipe.save_pretrained(tmp_path / "again")
        pipe = MMDiffPipeline.from_pretrained(tmp_path / "again")
        assert_equal(read(pipe.tokenizer, pipe.text_encoder), before)
        clip = pipe(PROMPTS[0], num_inference_steps=1, height=32, width=32, num_frames=1)
        assert clip.frames is not None


def test_a_finished_transformer_takes_text_of_another_width(folder: Path) -> None:
    words = ["experiment=finetune/diffusion", "text=pretrained", f"text.pretrained={folder}"]
    config = resolved(composed("train", [*words, "data.dataset.folder=x"]), "train")
    assert config["backbone"]["text_dim"] == text_width(str(folder)) == WIDTH


def test_what_is_no_text_encoder_is_refused_by_name(tmp_path: Path) -> None:
    folder = save_family("bert", tmp_path / "bert")
    weights = load_file(folder / "model.safetensors")
    lost = weights.pop("bert.encoder.layer.0.output.dense.weight")
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"lacks 1 weights of a BertModel.*0.output.dense"):
        pretrained_text_encoder(str(folder))
    save_file(
        {**weights, "bert.encoder.layer.0.output.dense.weight": lost[:3]},
        folder / "model.safetensors",
    )
    with pytest.raises(CheckpointError, match=r"of another shape, .*0.output.dense"):
        pretrained_text_encoder(str(folder))
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(
        CheckpointError, match=r"pytorch_model.bin is a .bin file, which can hold code"
    ):
        pretrained_text_encoder(str(folder))

    hf.BartConfig(d_model=8).save_pretrained(tmp_path / "bart")
    with pytest.raises(CheckpointError, match="is of a bart, which mmdiff has no text encoder"):
        encoder_class(tmp_path / "bart")
    with pytest.raises(CheckpointError, match=r"no folder .*brrt.* did you mean .*/b"):
        pretrained_text_encoder(str(tmp_path / "brrt"))


def test_a_caption_is_cut_at_one_length(tmp_path: Path, clips: Path) -> None:
    """In training, encoding and generating; by positions where the encoder has few (BERT: 40), by
    text.max_length, by the tokenizer, and it is kept with the pipeline."""
    folder, caption = save_family("bert", tmp_path / "bert"), " ".join(map(str, range(200)))
    text = pretrained_text_model(str(folder))
    assert caption_length(text.tokenizer) == 40
    short = pretrained_text_model(str(folder), max_length=12)
    short.tokenizer.save_pretrained(tmp_path / "run/tokenizer")
    short.text_encoder.save_pretrained(tmp_path / "run/text_encoder")
    run = str(tmp_path / "run")
    fill_contexts(tmp_path / "cache", [caption], text=run, precision="float32")
    encoded = ContextCache(tmp_path / "cache", text=run).context([caption])
    reader = frozen_text_model(run)
    with pytest.warns(UserWarning, match="longer than 12 tokens; not read"):
        trained = reader.read((caption,), torch.device("cpu"))
    ours = {"text_encoder": reader.text_encoder, "tokenizer": reader.tokenizer}
    MMDiffPipeline(**{**tiny_components(), **ours}).save_pretrained(tmp_path / "pipeline")
    pipe = MMDiffPipeline.from_pretrained(tmp_path / "pipeline")
    with pytest.warns(UserWarning, match="longer than 12 tokens; not read"):
        generated = pipe.encode_prompt(caption, do_classifier_free_guidance=False)
    assert encoded.tokens.shape[1] == 12
    assert torch.equal(encoded.tokens, trained.tokens)
    assert torch.equal(generated[0], trained.tokens)
    read = Context(torch.zeros(1, 40, WIDTH), torch.ones(1, 40, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"have 40 tokens of a caption, and text.max_length"):
        reader.read((caption,), torch.device("cpu"), cached=read)
