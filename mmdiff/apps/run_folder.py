"""What a training run left: its finished components, or what its newest checkpoint gives."""

import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdiff.apps.compose import check_nodes, instantiate, load_resolved
from mmdiff.apps.targets import OF_A_RUN, resolve_target
from mmdiff.values.usage_error import UsageError, nearest

if TYPE_CHECKING:
    from mmdiff.training.training_module import TrainingModule

_log = logging.getLogger(__name__)


def component_folders(
    run: Path, names: tuple[str, ...], *, key: str, workspace: Path
) -> dict[str, Path]:
    """The folder of each component of a run.

    `run` is the output_dir of a run, its `components` folder, one of its checkpoints, or, for a
    single component, the folder of it. A run that was stopped has checkpoints only: its components
    are then built from the newest valid one, or the one that is given, with averaged weights, into
    `workspace`.

    Raises UsageError for a folder that is none of these.
    """
    if len(names) == 1 and (run / "config.json").is_file():
        return {names[0]: run}
    if (run / "manifest.json").is_file():
        return _from_checkpoint(run.parent.parent, names, key=key, workspace=workspace, given=run)
    for folder in (run / "components", run):
        found = {name: folder / name for name in names}
        if all(path.is_dir() for path in found.values()):
            return found
    if (run / "resolved.yaml").is_file() and (run / "checkpoints").is_dir():
        return _from_checkpoint(run, names, key=key, workspace=workspace)
    beside = [p.name for p in run.parent.iterdir() if p.is_dir()] if run.parent.is_dir() else []
    near = nearest(run.name, [name for name in beside if name != run.name])
    raise UsageError(
        f"{key}={run} is no training run: it holds neither {' and '.join(names)} nor checkpoints",
        key=key,
        got=f"{key}={run}",
        nearest=f"{key}={run.with_name(near)}" if near else "",
    )


def _from_checkpoint(
    run: Path, names: tuple[str, ...], *, key: str, workspace: Path, given: Path | None = None
) -> dict[str, Path]:
    from mmdiff.training.checkpoint_folder import latest_checkpoint

    checkpoint = given or latest_checkpoint(run / "checkpoints")
    if checkpoint is None:
        raise UsageError(
            f"{key}={run} holds no valid checkpoint", key=key, cure="train it further first"
        )
    _log.info("%s: from %s", key, checkpoint)
    path = run / "resolved.yaml"
    config = load_resolved(path)
    _check_described(config, path, key=key)
    module, data = _module_of(checkpoint, config), instantiate(config["data"])
    components: Mapping[str, Any] = module.components(data.train_dataloader())
    missing = [name for name in names if name not in components]
    if missing:
        raise UsageError(
            f"{key}={run} trained {', '.join(components)}, not {', '.join(missing)}", key=key
        )
    for name in names:
        components[name].save_pretrained(str(workspace / name))
    return {name: workspace / name for name in names}


def load_from_checkpoint(path: str | Path) -> "TrainingModule[Any]":
    """The Lightning module that a run trains, with its weights and averages, in eval mode.

    path: a checkpoint of `mmdiff train`, or the output_dir of a run, whose newest valid one is
        taken. It is built from the configuration that the checkpoint carries.

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
            key="path",
            cure="RUN, or RUN/checkpoints/step_00001000",
        )
    _check_described(config, found / "configuration.json", key="path")
    return _module_of(found, config)


def _module_of(checkpoint: Path, config: Mapping[str, Any]) -> "TrainingModule[Any]":
    from mmdiff.training.checkpoint_folder import read_checkpoint

    module: TrainingModule[Any] = instantiate(config["module"])
    module.load_state_dict(read_checkpoint(checkpoint)["state_dict"])
    return module.eval()


def _check_described(config: Mapping[str, Any], path: Path, *, key: str) -> None:
    """UsageError unless a run describes a module to train and its data, of what runs are made of.

    Somebody else may have written it: it is checked as a whole before any of it is built.
    """
    from mmdiff.data.datamodule import DataModule
    from mmdiff.training.training_module import TrainingModule

    for name, kind in (("module", TrainingModule), ("data", DataModule)):
        node = config.get(name)
        if not isinstance(node, Mapping):
            raise UsageError(f"{path} describes no {name}, so {key} is no training run", key=key)
        check_nodes(node, name, rooms=OF_A_RUN)
        target = resolve_target(node.get("_target_"), key=f"{name}._target_", rooms=OF_A_RUN)
        if not (isinstance(target, type) and issubclass(target, kind)):
            raise UsageError(
                f"{path}: {name} is a {target.__name__}, which is no {kind.__name__}", key=key
            )


def trained_for(run: Path) -> dict[str, str]:
    """Noise schedule and parameterization of a diffusion run, by the names the pipeline knows."""
    objective = _configuration(run).get("objective") or {}
    schedule = (objective.get("noise_schedule") or {}).get("_target_", "Flow")
    return {
        "noise_schedule": str(schedule).rsplit(".", 1)[-1].lower(),
        "parameterization": str(objective.get("parameterization", "velocity")),
    }


def latents_trained_on(run: Path) -> dict[str, str]:
    """The digests of the autoencoders that made the latents of a diffusion run, by name; none, and
    a warning, where neither its cache nor they are there any more."""
    from mmdiff.data.latent_cache import LatentCache, StaleCache, cache_spec

    config = _configuration(run)
    dataset = (config.get("data") or {}).get("dataset") or {}
    cache = dataset.get("folder")
    inputs = (config.get("module") or {}).get("inputs") or {}
    folders = {name: inputs[name] for name in ("vae", "audio_vae") if name in inputs}
    try:
        spec = cache_spec(folders) if cache is None else LatentCache(cache).spec()
    except (OSError, StaleCache) as error:
        _log.warning("whose latents %s was trained on cannot be checked: %s", run, error)
        return {}
    return {str(name): str(digest) for name, digest in spec["components"].items()}


def shape_trained_on(run: Path) -> dict[str, int]:
    """Frames, height and width of most of the clips that a diffusion run was trained on; empty
    where that is not known any more."""
    from mmdiff.data.latent_cache import LatentCache, StaleCache

    data = _configuration(run).get("data") or {}
    spec, cache = data.get("spec"), (data.get("dataset") or {}).get("folder")
    if spec is not None:
        return {name: int(spec[name]) for name in ("num_frames", "height", "width")}
    if cache is None:
        return {}
    counts = Counter[tuple[int, ...]]()
    try:
        for shard in LatentCache(cache).shards():
            if "video" in shard.shapes:
                counts[shard.shapes["video"]] += len(shard.identities)
    except (OSError, StaleCache) as error:
        _log.warning("the sizes that %s was trained on are not known: %s", run, error)
    return _clip_of(counts.most_common(1)[0][0]) if counts else {}


def captions_trained_on(run: Path) -> list[str]:
    """Of the clips of a diffusion run, in their order; none where its cache is not there."""
    from mmdiff.data.latent_cache import LatentCache, StaleCache

    data = _configuration(run).get("data") or {}
    cache = (data.get("dataset") or {}).get("folder")
    try:
        return [] if cache is None else [one.caption for one in LatentCache(cache).entries()]
    except (OSError, StaleCache):
        return []


def _clip_of(shape: tuple[int, ...]) -> dict[str, int]:
    from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder as Autoencoder

    _, frames, rows, columns = shape
    return {
        "num_frames": 1 + Autoencoder.time_compression * (frames - 1),
        "height": Autoencoder.space_compression * rows,
        "width": Autoencoder.space_compression * columns,
    }


def _configuration(run: Path) -> dict[str, Any]:
    """The resolved.yaml of a run, given as its output_dir, its `components` folder or a
    checkpoint."""
    for folder in (run, run.parent, run.parent.parent):
        path = folder / "resolved.yaml"
        if path.is_file():
            return load_resolved(path)
    raise UsageError(
        f"diffusion_run={run} has no resolved.yaml, so what it was trained for is not known",
        key="diffusion_run",
        cure="give the output_dir of the run",
    )
