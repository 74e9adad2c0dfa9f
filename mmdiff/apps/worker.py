"""One process of a training run: reads a resolved configuration, builds it, trains.

    python -m mmdiff.apps.worker OUTPUT_DIR/resolved.yaml

Hydra does not compose here, so all ranks of a run have exactly the same configuration.
"""

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, Timer
from torch.distributed.elastic.multiprocessing.errors import record
from torch.nn import ModuleDict

from mmdiff.apps.compose import instantiate, load_resolved
from mmdiff.apps.learning_rate import with_found_rate
from mmdiff.apps.resume import find_checkpoint, tell_changes, tell_nothing_left
from mmdiff.apps.run import code_of, expected_errors, wants_traceback
from mmdiff.apps.terminal import log_to_terminal
from mmdiff.distributed.launch import die_with_parent
from mmdiff.distributed.strategies import RanksDisagree
from mmdiff.media.atomic import atomic_write
from mmdiff.training.checkpoint_folder import SafeCheckpointIO

_log = logging.getLogger(__name__)


def run(config: Mapping[str, Any], folder: Path | None = None) -> dict[str, float]:
    """Train, or validate alone, and give what the last validation found, by name; rank 0 writes it
    as validation.json into `folder`, if any."""
    log_to_terminal()
    if config["num_threads"] is not None:
        torch.set_num_threads(config["num_threads"])
    trainer = validate(config) if config["validate_only"] else train(config)
    metrics = trainer.callback_metrics.items()
    found = {name: float(value) for name, value in metrics if name.startswith("val/")}
    if found and folder is not None and trainer.is_global_zero:
        with atomic_write(folder / "validation.json") as temporary:
            temporary.write_text(json.dumps(found, indent=1))
    return found


def validate(config: Mapping[str, Any]) -> pl.Trainer:
    """Validate the newest valid checkpoint on the data that are held out; Lightning prints what it
    finds."""
    module, data = _built(config)
    trainer = build_trainer({**config, "logger": None})
    trainer.validate(module, data, ckpt_path=find_checkpoint(config))
    return trainer


def train(config: Mapping[str, Any]) -> pl.Trainer:
    """Train what a resolved configuration of `mmdiff train` describes, from the newest valid
    checkpoint if there is one; and validate what comes out, if there are data for it."""
    checkpoint = find_checkpoint(config)
    if config["lr_find"] is not False:
        config = with_found_rate(config, *_built(config))
    module, data = _built(config)
    trainer = build_trainer(config)
    if trainer.is_global_zero:
        for line in described_run(trainer, module, data, config):
            _log.info(line)
    if checkpoint is not None:
        _log.info("resuming from %s", checkpoint)
        tell_changes(checkpoint, config)
        tell_nothing_left(checkpoint, config)
    trainer.fit(module, data, ckpt_path=checkpoint)
    if trainer.limit_val_batches and module.validated_step != trainer.global_step:
        trainer.validate(module, data, verbose=False)
    return trainer


def described_run(
    trainer: pl.Trainer, module: Any, data: Any, config: Mapping[str, Any]
) -> Iterator[str]:
    """What is trained, on what, where, and the folder: one line each."""
    trained = module.trained
    parts = (
        dict(trained.items())
        if isinstance(trained, ModuleDict)
        else {type(trained).__name__: trained}
    )
    sizes = [f"{name} {_millions(part)}" for name, part in parts.items()]
    critic = [] if module.critic is None else [f"critic {_millions(module.critic)}"]
    yield f"parameters: {', '.join(sizes + critic)}"
    size, clips = data.batch_size, len(data.train_set)
    batch = f"batches of {size}" if isinstance(size, int) else f"batches of {dict(size)}"
    buckets = getattr(data.train_set, "buckets", {})
    kinds = f" in {len(buckets)} buckets" if len(buckets) > 1 else ""
    once = f", {clips // size:,} batches to see each once" if isinstance(size, int) else ""
    held = "" if data.val_set is None else f", {len(data.val_set):,} more for validation"
    yield f"data: {clips:,} clips{kinds}, {batch}{once}; {trainer.max_steps:,} steps{held}"
    device = f"{trainer.world_size} x {trainer.strategy.root_device.type}"
    yield f"device: {device}, {trainer.precision}, {torch.get_num_threads()} threads"
    yield f"folder: {config['output_dir']}"


def _millions(module: Any) -> str:
    return f"{sum(weight.numel() for weight in module.parameters()) / 1e6:.2f} M"


def _built(config: Mapping[str, Any]) -> tuple[pl.LightningModule, pl.LightningDataModule]:
    """Module and data, with the initial weights of the seed; nothing draws from it in a step."""
    pl.seed_everything(config["seed"], verbose=False)
    return instantiate(config["module"]), instantiate(config["data"])


def build_trainer(config: Mapping[str, Any]) -> pl.Trainer:
    """The trainer with callbacks, loggers and our checkpoints; RanksDisagree if it does not span
    all processes."""
    trainer = instantiate(
        config["trainer"],
        callbacks=_callbacks(config),
        logger=_values(config.get("logger")),
        plugins=[SafeCheckpointIO(config)],
        default_root_dir=config["output_dir"],
    )
    world_size = int(os.environ.get("WORLD_SIZE", 1))
    if trainer.world_size != world_size:
        raise RanksDisagree(
            f"{world_size} processes were started and the trainer spans {trainer.world_size}; "
            "set trainer.devices to the processes per machine"
        )
    return trainer


def _callbacks(config: Mapping[str, Any]) -> list[Callback]:
    callbacks: list[Callback] = _values(config.get("callbacks"))
    if config["max_minutes"] is not None:
        callbacks.append(Timer(timedelta(minutes=config["max_minutes"])))
    return callbacks


def _values(nodes: Mapping[str, Any] | None) -> list[Any]:
    return [instantiate(node) for node in (nodes or {}).values() if node is not None]


@record
def main() -> None:
    """Entry of a worker process; its one argument is the path of resolved.yaml."""
    die_with_parent()
    path = Path(sys.argv[1])
    run(load_resolved(path), path.parent)


def _run() -> int:
    """What a bad input raises has been recorded for the launcher, which says it on one screen."""
    try:
        main()
    except expected_errors() as error:
        if wants_traceback():
            raise
        return code_of(error)
    return 0


if __name__ == "__main__":
    sys.exit(_run())
