"""What comes next: the command that goes on from what a verb has made, to be copied from the
screen."""

import shlex
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from mmdiff.apps.overrides import first_of_sweeps
from mmdiff.apps.run_folder import caption_trained_on, latents_trained_on, run_configuration

# class of a data module of files -> the option of the group data that makes it
FILES = {
    "FolderData": "folder",
    "PairsData": "pairs",
    "ShardsData": "shards",
    "SeveralData": "several",
}
LONGEST_PROMPT = 120


def after_data_check(words: Sequence[str], config: Mapping[str, Any]) -> str:
    return _command("train", experiment="finetune/video_autoencoder", data=_data(config, words))


def after_train(words: Sequence[str], config: Mapping[str, Any]) -> str:
    """Autoencoders fill a cache, what else is trained becomes a pipeline."""
    run = Path(config["output_dir"])
    module = str(config["module"]["_target_"]).rsplit(".", 1)[-1]
    if module == "AutoencoderModule":
        name = config["module"]["name"]
        part = {name: run / "components" / name, "folder": run / "cache"}
        return _command("encode", **part, data=_data(config, words))
    runs: dict[str, Any] = {"vocoder_run": run, "diffusion_run": "RUN"}
    if module != "VocoderModule":
        runs = {**_autoencoders(config), "diffusion_run": run}
    return _command("export", **runs, output_dir=f"{run}_pipeline")


def after_encode(config: Mapping[str, Any]) -> str:
    world = "bounce" if config.get("data") is None else "finetune"
    folder = {"data.dataset.folder": config["folder"]}
    return _command("train", experiment=f"{world}/diffusion", **folder)


def after_export(output_dir: str, diffusion_run: str) -> str:
    """With a caption that the model was trained on, where its cache is still there."""
    caption = caption_trained_on(run_configuration(Path(diffusion_run))) or "..."
    prompt = textwrap.shorten(caption, LONGEST_PROMPT, placeholder="")
    return _command("generate", checkpoint=output_dir, prompt=prompt)


def show_next(command: str) -> None:
    """The last line of a verb."""
    Console(soft_wrap=True).print(f"next: {command}", markup=False, highlight=False)


def _autoencoders(config: Mapping[str, Any]) -> dict[str, Any]:
    """The folders of the autoencoders whose latents a run has learned, where they are not those of
    the bundled model: those that it names, or of a run beside it."""
    from mmdiff.data.latent_cache import component_digest
    from mmdiff.loading.folder import pipeline_folder

    run, found = Path(config["output_dir"]), {}
    inputs = config["module"].get("inputs") or {}
    for name, digest in latents_trained_on(config).items():
        bundled = pipeline_folder(None) / name
        folders = [bundled, Path(inputs.get(name, ""))]
        folders += sorted(run.parent.glob(f"*/components/{name}"))
        folders = [one for one in folders if (one / "config.json").is_file()]
        same = next((one for one in folders if component_digest(one) == digest), "RUN")
        if same != bundled:
            found[f"{name}_run"] = same
    return found


def _data(config: Mapping[str, Any], words: Sequence[str]) -> list[str]:
    """The words of a command line that chose its files, so that the next verb reads the same."""
    node = config.get("data") or {}
    option = FILES.get(str(node.get("_target_")).rsplit(".", 1)[-1])
    if option is None:
        return []
    chosen = [word for word in words if word.startswith("data.")]
    if {"-m", "--multirun"} & set(words):
        chosen = first_of_sweeps(chosen)
    return [f"data={option}", *chosen]


def _command(verb: str, *, data: Sequence[str] = (), **values: Any) -> str:
    assigned = [f"{key}={value}" for key, value in values.items()]
    return shlex.join(["mmdiff", verb, *assigned, *data])
