"""lr_find: a short training at rising learning rates, by Lightning's Tuner, before the run."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.tuner import Tuner

from mmdiff.apps.compose import instantiate
from mmdiff.media.atomic import atomic_write
from mmdiff.training.checkpoint_folder import SafeCheckpointIO
from mmdiff.values.usage_error import UsageError

_log = logging.getLogger(__name__)
USE = "use"
NUM_STEPS = 100
LEAST, MOST = 1e-6, 1.0
OWN = {"logger": False, "callbacks": [], "max_steps": -1, "max_epochs": -1, "limit_val_batches": 0}


def with_found_rate(
    config: Mapping[str, Any], module: pl.LightningModule, data: pl.LightningDataModule
) -> Mapping[str, Any]:
    """The configuration; with `lr_find=use`, that of the rate which is suggested, `adamw_lr` in
    proportion.

    The suggestion and the curve are written to lr_find.json, from which a resumed run takes them.
    `module` and `data` are used up.
    """
    path = Path(config["output_dir"]) / "lr_find.json"
    rate = json.loads(path.read_text())["suggestion"] if path.is_file() else None
    if rate is None:
        rate = _search(config, module, data, path)
    node = config["module"]["optimizer"]
    _log.info("lr_find suggests a learning rate of %.2e; configured is %.2e", rate, node["lr"])
    if config["lr_find"] != USE:
        return config
    factor = rate / node["lr"]
    rates = {name: factor * node[name] for name in ("lr", "adamw_lr") if name in node}
    return {**config, "module": {**config["module"], "optimizer": {**node, **rates}}}


def _search(
    config: Mapping[str, Any],
    module: pl.LightningModule,
    data: pl.LightningDataModule,
    path: Path,
) -> float:
    with TemporaryDirectory() as folder:
        settings = {**OWN, "plugins": [SafeCheckpointIO()], "default_root_dir": folder}
        trainer = instantiate({**config["trainer"], "enable_checkpointing": False}, **settings)
        finder = Tuner(trainer).lr_find(
            module,
            datamodule=data,
            min_lr=LEAST,
            max_lr=MOST,
            num_training=NUM_STEPS,
            update_attr=False,
        )
    rate = None if finder is None else finder.suggestion()
    if finder is None or rate is None:
        raise UsageError(
            "lr_find saw too few finite losses to suggest a learning rate",
            key="lr_find",
            cure="lr_find=false",
        )
    if trainer.is_global_zero:
        content = {"suggestion": rate, **finder.results}
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(content, indent=1))
    return float(rate)
