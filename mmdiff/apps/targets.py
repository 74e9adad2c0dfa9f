"""What a configuration may call: classes of components, and a few functions, by name.

A name is allowed by where it is *defined*, not by how it is spelt, so that no path through
`mmdiff.some.module.os.system` leads out of the list. What is on it is a class: functions and
methods do things (they write, load, start processes), classes only become what they describe.
"""

from collections.abc import Collection
from importlib import import_module

from mmdiff.apps.terminal import announce_libraries
from mmdiff.values.usage_error import UsageError, nearest

# Where a class is defined -> what it must be: it descends from one of these (full names), or has
# one of these methods (bare names). Nothing: any class that is defined there. The longest entry
# that fits a class is its room.
ROOMS: dict[str, tuple[str, ...]] = {
    "mmdiff.bounce.bounce_evaluation": ("mmdiff.evaluation.evaluation.Evaluation",),
    "mmdiff.bounce.studies": (),
    "mmdiff.apps.own_clips": ("mmdiff.evaluation.evaluation.Evaluation",),
    "mmdiff.autoencoders": (),
    "mmdiff.backbone": (),
    "mmdiff.conditioning": (),
    "mmdiff.data": ("lightning.pytorch.core.datamodule.LightningDataModule", "__getitem__"),
    "mmdiff.data.clip_spec": (),
    "mmdiff.data.sources.folder": (),
    "mmdiff.data.sources.pairs": (),
    "mmdiff.data.sources.shards": (),
    "mmdiff.data.sources.weighted_sources": (),
    "mmdiff.data.task_mixture": (),
    "mmdiff.diffusion": (),
    "mmdiff.distributed.strategies": (),
    "mmdiff.guidance": (),
    "mmdiff.media.limits": (),
    "mmdiff.pipelines.pipeline": (),
    "mmdiff.training": (),
    "mmdiff.training.callbacks": (),
    "mmdiff.values.shapes": (),
    "mmdiff.bounce": (),
    "torch.optim": (
        "torch.optim.optimizer.Optimizer",
        "torch.optim.lr_scheduler.LRScheduler",
    ),
    "diffusers.schedulers": ("diffusers.schedulers.scheduling_utils.SchedulerMixin",),
    "lightning.pytorch.callbacks": ("lightning.pytorch.callbacks.callback.Callback",),
    "lightning.pytorch.loggers": ("lightning.pytorch.loggers.logger.Logger",),
    "lightning.pytorch.strategies": ("lightning.pytorch.strategies.strategy.Strategy",),
    "lightning.pytorch.profilers": ("lightning.pytorch.profilers.profiler.Profiler",),
    "lightning.pytorch.trainer": ("lightning.pytorch.trainer.trainer.Trainer",),
}
# They read a component from the folder that they are given, or build one; none writes.
FUNCTIONS = (
    "mmdiff.distributed.strategies.data_parallel",
    "mmdiff.training.warm_start.saved_audio_autoencoder",
    "mmdiff.training.warm_start.saved_video_autoencoder",
    "mmdiff.training.warm_start.saved_vocoder",
    "mmdiff.training.text_model.pretrained_text_model",
    "mmdiff.training.text_model.small_text_model",
    "mmdiff.training.text_model.frozen_text_model",
    "mmdiff.training.warm_start.grown_transformer",
    "mmdiff.training.warm_start.saved_autoencoder",
    "mmdiff.training.text_model.saved_text_model",
)
# The rooms of what a run that was trained by somebody else may describe: models and their data.
OF_A_RUN = (
    "mmdiff.autoencoders",
    "mmdiff.backbone",
    *(room for room in ROOMS if room.startswith("mmdiff.data")),
    "mmdiff.diffusion",
    "mmdiff.media.limits",
    "mmdiff.training",
    "mmdiff.values.shapes",
    "mmdiff.bounce",
    "torch.optim",
)
# Short public spellings: one name of these modules; what it leads to is checked like the rest.
_ALIASES = ("mmdiff", "diffusers", "lightning", "lightning.pytorch")


def resolve_target(
    name: object, *, key: str = "_target_", rooms: Collection[str] = tuple(ROOMS)
) -> type:
    """What `_target_: name` stands for; UsageError when it may not be called.

    rooms: of `ROOMS`, those that the configuration may take from.
    """
    parts = name.split(".") if isinstance(name, str) else []
    if not isinstance(name, str) or len(parts) < 2 or not all(map(str.isidentifier, parts)):
        raise UsageError(f"{key} is {name!r}, which is not the dotted name of a class")
    if _room_of(name) is None and ".".join(parts[:-1]) not in _ALIASES:
        raise _refusal(name, key)
    announce_libraries()
    found = _find(name, key)
    if not may_be_called(found, rooms=rooms):
        raise _refusal(name, key)
    return found  # type: ignore[return-value]


def may_be_called(found: object, *, rooms: Collection[str] = tuple(ROOMS)) -> bool:
    """Whether `found` is a component class that one of `rooms` defines, or one of `FUNCTIONS`."""
    defined = f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
    room = _room_of(defined)
    if room is None or room not in rooms:
        return False
    return _is_one_of(found, ROOMS[room]) if isinstance(found, type) else defined in FUNCTIONS


def _room_of(name: str) -> str | None:
    return max((room for room in ROOMS if name.startswith(f"{room}.")), key=len, default=None)


def _is_one_of(found: type, kinds: tuple[str, ...]) -> bool:
    bases = {f"{base.__module__}.{base.__qualname__}" for base in found.__mro__}
    return not kinds or any(kind in bases or hasattr(found, kind) for kind in kinds)


def _find(name: str, key: str) -> object:
    module_name, _, attribute = name.rpartition(".")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        # `pkg.module.Class.from_x`: the class is the parent, not a module.
        if error.name is None or not module_name.startswith(error.name) or "." not in module_name:
            raise
        parent = _find(module_name, key)
        module = parent  # type: ignore[assignment]
    if attribute.startswith("_") or not hasattr(module, attribute):
        near = nearest(attribute, [n for n in dir(module) if not n.startswith("_")])
        raise UsageError(
            f"{key} names {name}, and {module_name} has no {attribute}",
            got=f"{key}={name}",
            nearest=f"{module_name}.{near}" if near else "",
        )
    return getattr(module, attribute)


def _refusal(name: str, key: str) -> UsageError:
    return UsageError(
        f"{key} names {name}, which a configuration may not call",
        got=f"{key}={name}",
        belongs="configurations call components of mmdiff.*, torch.optim.*, schedulers of "
        "diffusers, and lightning.pytorch.{Trainer, callbacks, loggers, strategies, profilers}",
    )
