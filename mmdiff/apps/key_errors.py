"""Why Hydra could not compose: the one wrong override, and what is nearest to it."""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mmdiff.apps.conf_tree import groups_of, leaves, options, options_of, root_keys, verbs
from mmdiff.apps.schema import argument_names, no_argument
from mmdiff.apps.targets import allowed_for
from mmdiff.values.usage_error import UsageError, nearest

# Our keys: what other tools call them. The first key of a row that a verb has is what was meant.
_OTHER_NAMES = """
num_inference_steps max_steps: steps num_steps sampling_steps ddim_steps n_steps inference_steps
max_steps: max_train_steps train_steps iterations iters max_iters
trainer.max_epochs: epochs num_epochs max_epochs num_train_epochs
guidance_scale: cfg cfg_scale guidance scale text_guidance
num_frames data.spec.num_frames: frames n_frames length video_length nframes clip_length
height data.spec.height: h resolution size image_size img_size
width data.spec.width: w
frame_rate data.spec.frame_rate: fps framerate
data.spec.sample_rate: sr sampling_rate audio_rate
num_clips: n num num_samples n_samples num_images num_images_per_prompt num_videos_per_prompt count
checkpoint backbone.folder: model model_id model_path model_name pretrained weights ckpt
resume: resume_from resume_from_checkpoint load_from
output: out output_file output_path filename save_path o
output_dir: outdir out_dir save_dir output_folder logdir log_dir run_dir results
negative_prompt: neg negative neg_prompt n_prompt
prompt: text caption p
prompts: prompt_file prompts_file from_file batch
scheduler: sampler sampler_name solver
image: img init_image first_frame input_image i2v
video: input_video vid
audio: sound input_audio wav
seed: random_seed manual_seed rng
batch_size data.batch_size: bs batch train_batch_size per_device_train_batch_size
num_workers data.num_workers: workers dataloader_num_workers
optimizer.optimizer.lr: lr learning_rate base_lr
optimizer.optimizer.weight_decay: wd weight_decay
trainer.devices: gpus num_gpus devices nproc
trainer.precision dtype: precision mixed_precision fp16 bf16 amp
trainer.accumulate_grad_batches: gradient_accumulation_steps grad_accum accumulate
trainer.gradient_clip_val: max_grad_norm grad_clip clip_grad
callbacks.checkpoints.every_n_minutes: save_every save_interval checkpointing_steps
module.ema_decay: ema ema_rate
data.root: dataset data_dir data_path dataset_path train_data_dir instance_data_dir root folder
device: cuda gpu
data.spec.span: data.spec.stretch
data.spec.video: data.spec.picture
data.spec.audio: data.spec.sound
"""


def meanings(name: str) -> list[str]:
    """Our keys for a name of another tool, the likeliest first."""
    rows = (line.split(": ") for line in _OTHER_NAMES.strip().splitlines())
    return [key for keys, names in rows if name in names.split() for key in keys.split()]


def parsed(word: str) -> Override | None:
    """An override as Hydra reads it; None where it cannot."""
    try:
        return OverridesParser.create().parse_override(word)
    except HydraException:
        return None


def diagnosed(
    error: Exception, *, verb: str, overrides: Sequence[str], compose: Callable[..., DictConfig]
) -> UsageError:
    """The UsageError behind an error of Hydra, found by trying the overrides one by one."""

    def composes(words: Sequence[str]) -> bool:
        try:
            compose(verb, list(words), return_hydra_config=True)
        except (HydraException, OmegaConfBaseException, ValueError):
            return False
        return True

    read = {word: parsed(word) for word in overrides}
    for word, override in read.items():
        if override is None:
            return _unreadable(word, verb)
        if override.is_sweep_override():
            return UsageError(
                f"{word} gives several values",
                hint=f"a list is written [1,2]; several runs: mmdiff {verb} -m {word}",
            )
    chosen: list[str] = []
    for word, override in read.items():
        assert override is not None
        group = override.key_or_group
        if override.is_delete() or "." in group or not (options(group) or group in groups_of(verb)):
            continue
        if wrong := _wrong_option(override, verb):
            return wrong
        chosen.append(word)
    for word in read:
        if word not in chosen and not composes([*chosen, word]):
            config = compose(verb, chosen)
            return _no_key(word, verb, config, lambda words: composes([*chosen, *words]))
    return UsageError((str(error).strip() or type(error).__name__).splitlines()[0])


def check_additions(overrides: Sequence[str], config: DictConfig, *, verb: str) -> None:
    """Refuse `+key=value` where nothing would read it: outside of every `_target_`."""
    for override in filter(None, map(parsed, overrides)):
        key = override.key_or_group
        if not (override.is_add() or override.is_force_add()) or options(key.split("@")[0]):
            continue
        parts = key.split(".")
        # A component that is added to others, +callbacks.mine={_target_: ...}, is a parent as well.
        parents = [".".join(parts[:length]) for length in range(1, len(parts) + (len(parts) > 1))]
        nodes = [OmegaConf.select(config, parent) for parent in parents]
        is_argument = any(isinstance(one, DictConfig) and "_target_" in one for one in nodes)
        if is_argument or key.startswith("hydra."):
            continue
        own = [name for name, now in leaves(config).items() if now != "..." and name != key]
        if override.is_force_add() and key in root_keys(verb):
            continue
        value = str(override.input_line).partition("=")[2]
        raise UsageError(
            f"+{key} adds a key that nothing reads; `+` is for arguments of a component",
            nearest=f"{near}={value}" if (near := nearest(key, own)) else "",
        )


def unresolved(error: OmegaConfBaseException, config: DictConfig, verb: str) -> UsageError:
    """The UsageError for a value that is missing or interpolates what is not there, or that of a
    resolver of ours."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UsageError):
            return cause
        cause = cause.__cause__ or cause.__context__
    key = str(getattr(error, "full_key", "") or "a value")
    known = leaves(config)
    value = str(known.get(key, ""))
    if value == "???":
        return UsageError(f"{key} is not given", hint=f"mmdiff {verb} {key}=VALUE")
    wrong = next((name for name in re.findall(r"\$\{([\w.]+)\}", value) if name not in known), "")
    near = nearest(wrong, [name for name in known if name != key]) if wrong else ""
    return UsageError(
        f"{key} cannot be resolved: {str(error).splitlines()[0]}",
        nearest=f"{key}={value.replace(wrong, near)}" if near else "",
    )


def _unreadable(word: str, verb: str) -> UsageError:
    name, equals, _ = word.partition("=")
    if equals:
        return UsageError(
            f"the value in {word} cannot be read",
            hint="close every bracket and every quote; a text in [ ] or { } is quoted: {a: 'x y'}",
        )
    known = root_keys(verb)
    near = next((key for key in (name, *meanings(name)) if key in known), nearest(name, known))
    hint = f"{near}=VALUE" if near else ""
    if " " in word and "prompt" in known:
        hint = f'prompt="{word}"'
    return UsageError(f"{word!r} is not key=value: the = is missing", hint=hint)


def _wrong_option(override: Override, verb: str) -> UsageError | None:
    """For a group, or an option of it, that the verb does not have."""
    group, word = override.key_or_group, override.input_line
    if group not in groups_of(verb):
        others = [f"mmdiff {one} {word}" for one in verbs() if group in groups_of(one)]
        return UsageError(f"mmdiff {verb} has no group {group}", hint=" or ".join(others))
    value, known = override.value(), options_of(verb, group)
    names = value if isinstance(value, list) else [] if value is None else [value]
    wrong = next((str(name) for name in names if str(name) not in known), None)
    if wrong is None:
        return None
    others = [f"mmdiff {one} {word}" for one in verbs() if wrong in options_of(one, group)]
    key = next((key for key in meanings(group) if key in root_keys(verb)), "")
    near = nearest(wrong, known)
    return UsageError(
        f"the group {group} has no option {wrong}" + (f" for mmdiff {verb}" if others else ""),
        possible=", ".join(known),
        nearest=f"{group}={near}" if near else f"{key}={wrong}" if key and not others else "",
        hint=" or ".join(others),
    )


def _no_key(
    word: str, verb: str, config: DictConfig, composes: Callable[[list[str]], bool]
) -> UsageError:
    key, _, value = word.lstrip("~+").partition("=")
    parent, group = key.rpartition(".")[0], key.split(".")[0]
    node = OmegaConf.select(config, parent) if parent else None
    if isinstance(node, DictConfig) and "_target_" in node:
        target = allowed_for(config).target(node["_target_"], f"{parent}._target_")
        renamed = next((one for one in meanings(key) if one.startswith(f"{parent}.")), "")
        if renamed:
            return UsageError(f"no key {key}", nearest=f"{renamed}={value}")
        if key.rpartition(".")[2] in argument_names(target):
            return UsageError(f"{key} is not in the file, but at its default", hint=f"+{word}")
        return no_argument(target, key, value, [str(name) for name in node.keys()])  # noqa: SIM118
    if parent and group in groups_of(verb) and config.get(group) is None:
        tried = (f"{group}={option}" for option in options_of(verb, group))
        good = next((option for option in tried if composes([option, word])), "")
        return UsageError(
            f"no key {key}: nothing of the group {group} is chosen",
            possible=", ".join(options_of(verb, group)),
            hint=shlex.join(["mmdiff", verb, good, word]) if good else "",
        )
    # Hydra deletes no key whose value is null.
    value = "null" if word.startswith("~") else value
    words = (f"{name}={value}" for name in _alike(key, leaves(config), verb))
    good = next((one for one in words if composes([one])), "")
    read = parsed(good)
    if read is not None and value[:1] in "'\"":
        good = f"{good.partition('=')[0]}={read.value()}"  # as it was typed
    return UsageError(f"no key {key}", nearest=shlex.quote(good) if good else "")


def _alike(key: str, known: Mapping[str, object], verb: str) -> Iterator[str]:
    """Keys that may have been meant by one that is not there, the likeliest first."""
    settable = [name for name, now in known.items() if now != "..." or name in groups_of(verb)]
    settable += [name for name in groups_of(verb) if name not in known]
    settable = [name for name in settable if name.split(".")[0] != "hydra"]
    ending = key.rsplit(".", 1)[-1]
    same = [name for name in settable if name.rsplit(".", 1)[-1] == ending and name != key]
    same.sort(key=lambda name: (name.split(".")[0] != key.split(".")[0], name.count(".")))
    siblings = [name for name in settable if name.startswith(f"{key.split('.')[0]}.")]
    names = [*meanings(key), *same, nearest(key, siblings), nearest(key, settable)]
    yield from filter(None, dict.fromkeys([*names, *meanings(ending)]))
