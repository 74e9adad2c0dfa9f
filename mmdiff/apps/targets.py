"""The names a configuration may call, and nothing else.

A name is allowed by where it is *defined*, not only by how it is spelt, so that no path through
`mmdiff.some.module.os.system` leads out of the list.
"""

from importlib import import_module

from mmdiff.apps.usage_error import UsageError, nearest

ALLOWED = (
    "mmdiff",
    "torch.optim",
    "lightning.pytorch.callbacks",
    "lightning.pytorch.loggers",
    "lightning.pytorch.strategies",
    "lightning.pytorch.profilers",
    "lightning.pytorch.trainer",
    "diffusers.schedulers",
)
# Of mmdiff, what does things to files and processes is for people and for the verbs; configurations
# name what is built.
DOERS = (
    "mmdiff.__main__",
    "mmdiff.apps",
    "mmdiff.data.encode",
    "mmdiff.distributed.launch",
    "mmdiff.distributed.signals",
    "mmdiff.media.atomic",
    "mmdiff.media.sidecar",
    "mmdiff.media.storyboard",
    "mmdiff.media.writer",
    "mmdiff.testing",
    "mmdiff.training.checkpoint_folder",
)
_BUILT_IN_APPS = ("mmdiff.apps.evaluations", "mmdiff.apps.bounce_evaluation.BounceEvaluation")
# Short public spellings of allowed things; what they lead to is checked like everything else.
_ALIASES = ("lightning.pytorch.Trainer", "lightning.Trainer", "diffusers.")


def is_allowed(name: str) -> bool:
    return _is_under(name, ALLOWED) and (
        not _is_under(name, DOERS) or _is_under(name, _BUILT_IN_APPS)
    )


def _is_under(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def resolve_target(name: object, *, key: str = "_target_") -> type:
    """What `_target_: name` stands for; UsageError when it may not be called."""
    parts = name.split(".") if isinstance(name, str) else []
    if not isinstance(name, str) or len(parts) < 2 or not all(map(str.isidentifier, parts)):
        raise UsageError(f"{key} is {name!r}, which is not the dotted name of a class")
    if not (is_allowed(name) or name.startswith(_ALIASES)):
        raise _refusal(name, key)
    found = _find(name, key)
    defined = f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
    if not callable(found) or not is_allowed(defined):
        raise _refusal(name, key)
    return found  # type: ignore[return-value]


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
