"""What a training run left: its finished components, or what its newest checkpoint gives; and what
it was trained on."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdiff.apps.config import check_nodes, instantiate, load_resolved
from mmdiff.apps.targets import OF_A_RUN, Allowed
from mmdiff.values.usage_error import UsageError, nearest

if TYPE_CHECKING:
    from mmdiff.training.training_module import TrainingModule

_log = logging.getLogger(__name__)


def component_folders(
    run: Path, names: tuple[str, ...], *, key: str, workspace: Path, trusted: Sequence[str] = ()
) -> dict[str, Path]:
    """The folder of each component of a run.

    `run` is the output_dir of a run, its `components` folder, one of its checkpoints, or, for a
    single component, the folder of it. A run that was stopped has checkpoints only: its components
    are then built from the newest valid one, or the one that is given, with averaged weights, into
    `workspace`.

    trusted: modules of the user that the configuration of the run may name.

    Raises UsageError for a folder that is none of these.
    """
    from mmdiff.training.checkpoint_folder import latest_checkpoint

    if len(names) == 1 and (run / "config.json").is_file():
        return {names[0]: run}
    is_checkpoint = (run / "manifest.json").is_file()
    if not is_checkpoint:
        for folder in (run / "components", run):
            found = {name: folder / name for name in names}
            if all(path.is_dir() for path in found.values()):
                return found
    whole = run.parent.parent if is_checkpoint else run
    checkpoint = run if is_checkpoint else latest_checkpoint(run / "checkpoints")
    if checkpoint is None or not (whole / "resolved.yaml").is_file():
        beside = [p.name for p in run.parent.iterdir() if p.is_dir()] if run.parent.is_dir() else []
        near = nearest(run.name, [name for name in beside if name != run.name])
        raise UsageError(
            f"{key}={run} is no training run: it holds neither {' and '.join(names)} nor a valid "
            "checkpoint",
            nearest=f"{key}={run.with_name(near)}" if near else "",
        )
    _log.info("%s: from %s", key, checkpoint)
    path = whole / "resolved.yaml"
    config, allowed = load_resolved(path), Allowed(OF_A_RUN, trusted)
    _check_described(config, path, allowed)
    data = instantiate(config["data"], allowed=allowed)
    components = _module_of(checkpoint, config, allowed).components(data.train_dataloader())
    missing = [name for name in names if name not in components]
    if missing:
        raise UsageError(f"{key}={run} trained {', '.join(components)}, not {', '.join(missing)}")
    for name in names:
        components[name].save_pretrained(str(workspace / name))
    return {name: workspace / name for name in names}


def load_from_checkpoint(
    path: str | Path, *, trust_modules: Sequence[str] = ()
) -> "TrainingModule[Any]":
    """The Lightning module that a run trains, with its weights and averages, in eval mode.

    path: a checkpoint of `mmdiff train`, or the output_dir of a run, whose newest valid one is
        taken. It is built from the configuration that the checkpoint carries.
    trust_modules: packages of your own whose classes that configuration may name.

    Raises UsageError, a ValueError, where there is none; DamagedCheckpoint for one that is damaged.
    """
    from mmdiff.training.checkpoint_folder import latest_checkpoint, read_configuration

    found: Path | None = Path(path)
    if not (Path(path) / "manifest.json").is_file():
        found = latest_checkpoint(Path(path) / "checkpoints")
    config = None if found is None else read_configuration(found)
    if found is None or config is None:
        raise UsageError(
            f"{path} is no checkpoint of mmdiff train, nor a run with a valid one",
            hint="RUN, or RUN/checkpoints/step_00001000",
        )
    allowed = Allowed(OF_A_RUN, trust_modules)
    _check_described(config, found / "configuration.json", allowed)
    return _module_of(found, config, allowed)


def _module_of(
    checkpoint: Path, config: Mapping[str, Any], allowed: Allowed
) -> "TrainingModule[Any]":
    from mmdiff.training.checkpoint_folder import read_checkpoint

    module: TrainingModule[Any] = instantiate(config["module"], allowed=allowed)
    module.load_state_dict(read_checkpoint(checkpoint)["state_dict"])
    return module.eval()


def _check_described(config: Mapping[str, Any], path: Path, allowed: Allowed) -> None:
    """UsageError unless a run describes a module to train and its data, of what runs are made of.

    Somebody else may have written it: it is checked as a whole before any of it is built.
    """
    from mmdiff.data.datamodule import DataModule
    from mmdiff.training.training_module import TrainingModule

    for name, base in (("module", TrainingModule), ("data", DataModule)):
        node = config.get(name)
        if not isinstance(node, Mapping):
            raise UsageError(f"{path} describes no {name}, so this is no training run")
        check_nodes(node, name, allowed=allowed)
        target = allowed.target(node.get("_target_"), f"{name}._target_")
        if not (isinstance(target, type) and issubclass(target, base)):
            raise UsageError(f"{path}: {name} is a {target.__name__}, which is no {base.__name__}")


def run_configuration(run: Path) -> dict[str, Any]:
    """The resolved.yaml of a run, given as its output_dir, its `components` folder or a
    checkpoint."""
    for folder in (run, run.parent, run.parent.parent):
        if (folder / "resolved.yaml").is_file():
            return load_resolved(folder / "resolved.yaml")
    raise UsageError(
        f"diffusion_run={run} has no resolved.yaml, so what it was trained for is not known",
        hint="give the output_dir of the run",
    )


def trained_for(config: Mapping[str, Any]) -> dict[str, str]:
    """Noise schedule and parameterization of a diffusion run, by the names the pipeline knows."""
    objective = config.get("objective") or {}
    schedule = (objective.get("noise_schedule") or {}).get("_target_", "Flow")
    return {
        "noise_schedule": str(schedule).rsplit(".", 1)[-1].lower(),
        "parameterization": str(objective.get("parameterization", "velocity")),
    }


def latents_trained_on(config: Mapping[str, Any]) -> dict[str, str]:
    """The digests of the autoencoders that made the latents of a diffusion run, by name; none, and
    a warning, where neither its cache nor they are there any more."""
    from mmdiff.data.latent_cache import LatentCache, StaleCache, cache_spec

    cache, inputs = _cache(config), (config.get("module") or {}).get("inputs") or {}
    folders = {name: inputs[name] for name in ("vae", "audio_vae") if name in inputs}
    try:
        spec = cache_spec(folders) if cache is None else LatentCache(cache).spec()
    except (OSError, StaleCache) as error:
        _log.warning("whose latents it was trained on cannot be checked: %s", error)
        return {}
    return {str(name): str(digest) for name, digest in spec["components"].items()}


def shape_trained_on(config: Mapping[str, Any]) -> dict[str, int]:
    """Frames, height and width of most of the clips that a diffusion run was trained on; empty
    where that is not known any more."""
    from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder
    from mmdiff.data.latent_cache import LatentCache, StaleCache

    spec, cache = (config.get("data") or {}).get("spec"), _cache(config)
    if spec is not None:
        return {name: int(spec[name]) for name in ("num_frames", "height", "width")}
    counts = Counter[tuple[int, ...]]()
    try:
        for shard in LatentCache(cache).shards() if cache is not None else ():
            if "video" in shard.shapes:
                counts[shard.shapes["video"]] += len(shard.identities)
    except (OSError, StaleCache) as error:
        _log.warning("the sizes that it was trained on are not known: %s", error)
    if not counts:
        return {}
    _, frames, rows, columns = counts.most_common(1)[0][0]
    return {
        "num_frames": 1 + VideoAutoencoder.time_compression * (frames - 1),
        "height": VideoAutoencoder.space_compression * rows,
        "width": VideoAutoencoder.space_compression * columns,
    }


def caption_trained_on(config: Mapping[str, Any]) -> str | None:
    """The first one; None where the cache is not there any more."""
    from mmdiff.data.latent_cache import LatentCache, StaleCache

    cache = _cache(config)
    try:
        entries = [] if cache is None else LatentCache(cache).entries()
    except (OSError, StaleCache):
        return None
    return entries[0].caption if entries else None


def _cache(config: Mapping[str, Any]) -> Any:
    """The folder of the latents that a run was trained on, if any."""
    return ((config.get("data") or {}).get("dataset") or {}).get("folder")
