"""What a configuration may call: the classes that components are made of, by name.

A name is allowed by where it is *defined*, not by how it is spelt, so that no path through
`mmdiff.some.module.os.system` leads out of the list. Classes only become what they describe;
functions and methods do things, so that just the few that read or build a component are allowed.
"""

from collections.abc import Collection
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from mmdiff.apps.terminal import announce_libraries
from mmdiff.values.usage_error import UsageError, nearest

# What a training run is made of; nothing else may be named by a run that somebody else has trained.
OF_A_RUN = (
    *("mmdiff.autoencoders", "mmdiff.backbone", "mmdiff.bounce", "mmdiff.data"),
    *("mmdiff.diffusion", "mmdiff.finetune", "mmdiff.media.limits", "mmdiff.text"),
    *("mmdiff.training", "mmdiff.values.shapes", "torch.optim"),
)
# The longest entry that fits is the one that counts: callbacks write, and are of no run of others.
OTHERS = (
    *("mmdiff.apps.own_clips", "mmdiff.conditioning", "mmdiff.distributed.strategies"),
    *("mmdiff.guidance", "mmdiff.pipelines.pipeline", "mmdiff.training.callbacks"),
)
# Of other libraries, what descends from one of these.
LIBRARIES = {
    "torch.optim": ("Optimizer", "LRScheduler"),
    "torch.nn.modules": ("Module",),
    "diffusers.schedulers": ("SchedulerMixin",),
    "transformers.models": ("PreTrainedConfig",),
    "lightning.pytorch.callbacks": ("Callback",),
    "lightning.pytorch.loggers": ("Logger",),
    "lightning.pytorch.strategies": ("Strategy",),
    "lightning.pytorch.profilers": ("Profiler",),
    "lightning.pytorch.trainer": ("Trainer",),
}
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
# Short public spellings; what they lead to is checked like the rest.
_SHORT = ("mmdiff", "diffusers", "transformers", "torch.nn", "lightning", "lightning.pytorch")


@dataclass(frozen=True)
class Allowed:
    """modules: of ours and of the libraries above. trusted: of the user (`trust_modules`), whose
    classes and functions may all be called."""

    modules: Collection[str] = (*OF_A_RUN, *OTHERS, *LIBRARIES)
    trusted: Collection[str] = ()

    def target(self, name: object, key: str = "_target_") -> type:
        """What `_target_: name` stands for; UsageError when it may not be called."""
        parts = name.split(".") if isinstance(name, str) else []
        if not isinstance(name, str) or len(parts) < 2 or not all(map(str.isidentifier, parts)):
            raise UsageError(f"{key} is {name!r}, which is not the dotted name of a class")
        is_trusted = _entry_of(name, self.trusted) is not None
        # Nothing is imported, which runs it, before its name is on the list.
        is_listed = _entry_of(name) is not None or name.rpartition(".")[0] in _SHORT
        found = None
        if is_trusted or is_listed:
            announce_libraries()
            found = _found(name, key)
        if not self.includes(found):
            raise UsageError(
                f"{key} names {name}, which a configuration may not call",
                possible="components of mmdiff, torch.optim and torch.nn, schedulers of diffusers, "
                "lightning.pytorch.{Trainer, callbacks, loggers, strategies, profilers}",
                hint=f"trust_modules=[{parts[0]}] if it is a module of your own",
            )
        return found  # type: ignore[return-value]

    def includes(self, found: object) -> bool:
        defined = f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
        if _entry_of(defined, self.trusted) is not None:
            return callable(found)
        entry = _entry_of(defined)
        if entry is None or entry not in self.modules:
            return False
        if not isinstance(found, type):
            return defined in FUNCTIONS
        # Of torch.optim.swa_utils, AveragedModel is a module of torch.nn, and no optimizer.
        names = LIBRARIES.get(entry)
        return names is None or any(base.__name__ in names for base in found.__mro__)


ALLOWED = Allowed()


def allowed_for(config: Any) -> Allowed:
    """What a resolved configuration of this user, who says which modules are trusted, may call."""
    return Allowed(trusted=tuple(config.get("trust_modules") or ()))


def _entry_of(name: str, entries: Collection[str] = ALLOWED.modules) -> str | None:
    return max((one for one in entries if name.startswith(f"{one}.")), key=len, default=None)


def _found(name: str, key: str) -> object:
    module_name, _, attribute = name.rpartition(".")
    module: object
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        if "." not in module_name:
            raise UsageError(
                f"{key} names {name}, and there is no module {module_name}",
                hint="install it, or put its folder into PYTHONPATH",
            ) from error
        module = _found(module_name, key)  # `pkg.module.Class.method`: the class is no module
    if attribute.startswith("_") or not hasattr(module, attribute):
        near = nearest(attribute, [one for one in dir(module) if not one.startswith("_")])
        raise UsageError(
            f"{key} names {name}, and {module_name} has no {attribute}",
            nearest=f"{module_name}.{near}" if near else "",
        )
    return getattr(module, attribute)
