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
from tempfile import TemporaryDirectory
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, Timer
from lightning.pytorch.tuner import Tuner
from torch.distributed.elastic.multiprocessing.errors import record
from torch.nn import ModuleDict

from mmdiff.apps.cli import code_of, expected_errors, wants_traceback
from mmdiff.apps.config import built, instantiate, load_resolved
from mmdiff.apps.resume import find_checkpoint, log_resumed
from mmdiff.apps.targets import allowed_for
from mmdiff.apps.terminal import log_to_terminal
from mmdiff.distributed.launch import die_with_parent
from mmdiff.distributed.strategies import RanksDisagree
from mmdiff.media.atomic import atomic_write
from mmdiff.training.checkpoint_folder import SafeCheckpointIO
from mmdiff.values.usage_error import UsageError

_log = logging.getLogger(__name__)
NUM_RATES, LEAST_RATE, MOST_RATE = 100, 1e-6, 1.0  # of lr_find


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
        _write_json(folder / "validation.json", found)
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
        config = with_found_rate(config)
    module, data = _built(config)
    trainer = build_trainer(config)
    if trainer.is_global_zero:
        for line in described_run(trainer, module, data, config):
            _log.info(line)
    if checkpoint is not None:
        log_resumed(checkpoint, config)
    trainer.fit(module, data, ckpt_path=checkpoint)
    if trainer.limit_val_batches and module.validated_step != trainer.global_step:
        trainer.validate(module, data, verbose=False)
    return trainer


def described_run(
    trainer: pl.Trainer, module: Any, data: Any, config: Mapping[str, Any]
) -> Iterator[str]:
    """What is trained, on what, where, and the folder: one line each."""
    trained = module.trained
    is_several = isinstance(trained, ModuleDict)
    parts = dict(trained.items()) if is_several else {type(trained).__name__: trained}
    if module.critic is not None:
        parts["critic"] = module.critic
    sizes = {name: sum(one.numel() for one in part.parameters()) for name, part in parts.items()}
    yield f"parameters: {', '.join(f'{name} {size / 1e6:.2f} M' for name, size in sizes.items())}"
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


def _built(config: Mapping[str, Any]) -> tuple[pl.LightningModule, pl.LightningDataModule]:
    """Module and data, with the initial weights of the seed; nothing draws from it in a step."""
    pl.seed_everything(config["seed"], verbose=False)
    allowed = allowed_for(config)
    return built(config["module"], allowed), built(config["data"], allowed)


def build_trainer(config: Mapping[str, Any]) -> pl.Trainer:
    """The trainer with callbacks, loggers and our checkpoints; RanksDisagree if it does not span
    all processes."""
    callbacks: list[Callback] = _values(config, "callbacks")
    if config["max_minutes"] is not None:
        callbacks.append(Timer(timedelta(minutes=config["max_minutes"])))
    trainer = instantiate(
        config["trainer"],
        allowed=allowed_for(config),
        callbacks=callbacks,
        logger=_values(config, "logger"),
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


def _values(config: Mapping[str, Any], group: str) -> list[Any]:
    nodes = (config.get(group) or {}).values()
    return [built(node, allowed_for(config)) for node in nodes if node is not None]


def with_found_rate(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """lr_find: after a short training at rising learning rates, by Lightning's Tuner, the
    configuration; with `lr_find=use`, that of the rate which is suggested, `adamw_lr` in
    proportion.

    The suggestion and the curve are written to lr_find.json, from which a resumed run takes them.
    """
    path = Path(config["output_dir"]) / "lr_find.json"
    is_known = path.is_file()
    rate = json.loads(path.read_text())["suggestion"] if is_known else _search_rate(config, path)
    node = config["module"]["optimizer"]
    _log.info("lr_find suggests a learning rate of %.2e; configured is %.2e", rate, node["lr"])
    if config["lr_find"] != "use":
        return config
    rates = {name: rate / node["lr"] * node[name] for name in ("lr", "adamw_lr") if name in node}
    return {**config, "module": {**config["module"], "optimizer": {**node, **rates}}}


def _search_rate(config: Mapping[str, Any], path: Path) -> float:
    module, data = _built(config)
    with TemporaryDirectory() as folder:
        trainer = instantiate(
            {**config["trainer"], "enable_checkpointing": False},
            logger=False,
            callbacks=[],
            plugins=[SafeCheckpointIO()],
            max_steps=-1,
            max_epochs=-1,
            limit_val_batches=0,
            default_root_dir=folder,
        )
        finder = Tuner(trainer).lr_find(
            module,
            datamodule=data,
            min_lr=LEAST_RATE,
            max_lr=MOST_RATE,
            num_training=NUM_RATES,
            update_attr=False,
        )
    rate = None if finder is None else finder.suggestion()
    if finder is None or rate is None:
        raise UsageError(
            "lr_find saw too few finite losses to suggest a learning rate", hint="lr_find=false"
        )
    if trainer.is_global_zero:
        _write_json(path, {"suggestion": rate, **finder.results})
    return float(rate)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1))


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
