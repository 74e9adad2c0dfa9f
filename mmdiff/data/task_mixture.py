"""TaskMixture: which task each sample of a batch is trained on."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch

from mmdiff.backbone.ablation import Ablation
from mmdiff.data.task import NUM_DRAWS, TASKS, ClipSize, Task, example, stack_masks
from mmdiff.diffusion.noise import NoiseKey, keyed_uniform
from mmdiff.values.checks import check_number
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents, Modality
from mmdiff.values.usage_error import nearest

T = TypeVar("T")
Families = dict[tuple[tuple[Modality, ...], bool, bool], dict[str, float]]


@dataclass(frozen=True)
class TaskBatch:
    """A batch of which every sample has its task.

    names     of the tasks, one per sample
    gives     whether something of the clip is given, one per sample
    state     clean latents, what is given of them, and where
    ablation  what the tasks cut, per sample; None: nothing
    """

    names: tuple[str, ...]
    gives: tuple[bool, ...]
    state: LatentState
    ablation: Ablation | None


class TaskMixture:
    """Draws a task for each sample.

    Tasks fall into families: those with the same modalities, still or not, and with one time `t`
    for all tokens of a modality or one for each token (which costs more). The family is drawn for
    the whole step, keyed by (seed, step), so that nothing is padded and all ranks draw the same;
    the task within it for each sample, keyed by (seed, step, sample).

    probabilities: of the tasks by name (`mmdiff.data.task.TASKS`); they add up to 1.
    """

    def __init__(self, probabilities: Mapping[str, float] | None = None) -> None:
        probabilities = dict(probabilities or {"joint": 1.0})
        for name in probabilities:
            if name not in TASKS:
                hint = f"; did you mean {near}?" if (near := nearest(name, TASKS)) else ""
                raise ValueError(f"there is no task {name!r}{hint} Possible are {', '.join(TASKS)}")
        for name, probability in probabilities.items():
            check_number(f"probabilities.{name}", probability, lowest=0)
        total = sum(probabilities.values())
        if abs(total - 1) > 1e-6:
            raise ValueError(
                f"the probabilities of the tasks add up to {total:g}; they must add up to 1: "
                "raise or lower that of 'joint'"
            )
        self.probabilities = {name: float(p) for name, p in probabilities.items() if p > 0}
        self._families: dict[tuple[tuple[Modality, ...], bool], Families] = {}

    def draw(
        self,
        latents: ClipLatents,
        key: NoiseKey,
        of_data: Collection[Modality] | None = None,
    ) -> TaskBatch:
        """The batch with its tasks: of those that need what these clips have.

        latents: clean, unit variance. of_data: the modalities that the clips of the whole training
        set have between them; None: what these have. Raises ValueError if no clip has a modality
        that a task is about, or if none of the tasks can be trained on these.
        """
        modalities, size = latents.modalities, ClipSize.of(latents)
        self.check_modalities(modalities if of_data is None else of_data)
        families = self.families(modalities, is_still=size.frames == 1)
        shares = {family: sum(tasks.values()) for family, tasks in families.items()}
        # without the samples in the key: all ranks are in one family, and nothing is padded
        of_step = keyed_uniform(NoiseKey(key.seed, key.step, ("family",)), "task")
        family = families[_pick(shares, float(of_step))]
        draws = keyed_uniform(key, "task", (1 + NUM_DRAWS,)).tolist()
        names = tuple(_pick(family, draw[0]) for draw in draws)
        tasks = [
            TASKS[name](size, draw[1:]).within(modalities)
            for name, draw in zip(names, draws, strict=True)
        ]
        gives = tuple(task.video is not None or task.audio is not None for task in tasks)
        return TaskBatch(names, gives, _state(latents, tasks), _ablation(tasks))

    def families(self, modalities: tuple[Modality, ...], *, is_still: bool = False) -> Families:
        """The tasks on clips that have `modalities`, with their probabilities, by family; of stills
        only those that leave something to generate."""
        if (modalities, is_still) not in self._families:
            families: Families = {}
            for name, probability in self.probabilities.items():
                task = example(name, num_frames=1 if is_still else 9).within(modalities)
                # a first frame that is given leaves nothing of a clip of one frame
                is_void = is_still and task.video is not None and bool((task.video >= 1).all())
                if set(task.needs) <= set(modalities) and task.modalities and not is_void:
                    family = (task.modalities, task.is_still, task.is_uniform)
                    families.setdefault(family, {})[name] = probability
            self._families[modalities, is_still] = families
        if not self._families[modalities, is_still]:
            alone = "stills" if is_still else f"clips that have {' and '.join(modalities)} alone"
            raise ValueError(
                f"none of the tasks {', '.join(self.probabilities)} can be trained on {alone}; add "
                "'joint' to them, or leave such clips out"
            )
        return self._families[modalities, is_still]

    def check_modalities(self, modalities: Collection[Modality]) -> None:
        """ValueError unless a training set of clips that have `modalities` between them serves all
        tasks."""
        for name, probability in self.probabilities.items():
            for modality in example(name).modalities:
                if modality not in modalities:
                    raise ValueError(
                        f"the training set has no {modality}, and the task {name!r} (probability "
                        f"{probability:g}) needs it: it would learn nothing. Train on clips that "
                        "have both modalities, or choose tasks that do without: "
                        f"task={'picture_only' if modality == 'audio' else 'sound_only'}"
                    )


def _pick(shares: Mapping[T, float], uniform: float) -> T:
    """A key, each as often as its share of their sum."""
    upper, total = 0.0, sum(shares.values())
    for key, share in shares.items():
        upper += share / total
        if uniform < upper:
            return key
    return key  # where the shares add up to just under 1


def _state(latents: ClipLatents, tasks: list[Task]) -> LatentState:
    parts = {name: latents.get(name) for name in tasks[0].modalities}
    clean = {name: part for name, part in parts.items() if part is not None}
    if tasks[0].is_still:
        clean = {name: part[:, :, :1] for name, part in clean.items()}
    state = LatentState(ClipLatents.of(clean))
    for name, part in clean.items():
        mask = stack_masks(tasks, name)
        if mask is not None:
            state = state.give(name, part, mask)
    return state


def _ablation(tasks: list[Task]) -> Ablation | None:
    view = torch.tensor([task.without_view for task in tasks])
    time = torch.tensor([task.without_time for task in tasks])
    if not (view.any() or time.any()):
        return None
    return Ablation(
        without_time=time if bool(time.any()) else None,
        without_view=view if bool(view.any()) else None,
    )
