"""Captions of an event: the canonical one, and training captions in other words and orders."""

from collections.abc import Iterator
from string import Formatter

import torch
from torch import Generator

from mmdiff.bounce.bounce import STILL, Bounce

# of all draws, those that name every attribute in other words; the rest leave some out
CANONICAL_SHARE, COMPLETE_SHARE = 0.35, 0.2
# how often a caption that leaves some out names each attribute
KEEP = {"size": 0.6, "color": 0.85, "shape": 0.9, "motion": 0.7}
KEEP |= {"speed": 0.7, "background": 0.6, "sound": 0.6}
# of the captions that leave some out, those that name each attribute as seldom as `KEEP_BRIEF`:
# what one writes with an image or a sound that shows the rest
BRIEF_SHARE = 0.5
KEEP_BRIEF = 0.3

OTHER_WORDS: dict[str, tuple[str, ...]] = {
    "small": ("little", "tiny"),
    "large": ("big", "huge"),
    "purple": ("violet",),
    "cyan": ("turquoise",),
    "circle": ("disc", "ball"),
    "square": ("box",),
    "gray": ("grey",),
    "navy": ("dark blue",),
    "bouncing left and right": (
        "bouncing from side to side",
        "moving left and right",
        "bouncing sideways",
    ),
    "bouncing up and down": ("moving up and down", "bouncing vertically"),
    "bouncing diagonally": ("moving diagonally", "bouncing off all walls"),
    "falling and bouncing": ("falling", "dropping to the floor", "falling down and bouncing back"),
    "standing still": ("not moving", "at rest"),
    "slowly": ("at low speed", "lazily"),
    "quickly": ("fast", "at high speed"),
    "a low ping": ("low pings", "a deep ping", "low-pitched pings"),
    "a middle ping": ("middle pings", "a medium ping", "medium-pitched pings"),
    "a high ping": ("high pings", "a bright ping", "high-pitched pings"),
    "no sound": ("silence", "no sound at all"),
}
BACKGROUND_PHRASES = (
    "on a {} background",
    "on {}",
    "against a {} background",
    "in front of a {} background",
)
SOUND_ENDINGS = (" at each bounce", " at every bounce", " at each impact", "")
NOUNS = ("object", "shape", "thing")
# the words between two slots are kept only where both slots are filled
TEMPLATES = (
    "{subject} {motion} {background}, {sound}",
    "{background}, {subject} {motion}, {sound}",
    "{sound}, {subject} {motion} {background}",
    "{subject} {background}, {motion}, {sound}",
    "{subject} {background}, {sound}, {motion}",
    "a clip of {subject} {motion} {background}, with {sound}",
    "a video of {subject} {background}, {motion}, {sound}",
    "{subject} {motion}, {sound}, {background}",
)


def synonyms(value: str) -> tuple[str, ...]:
    """How captions may name the value of an attribute."""
    return (value, *OTHER_WORDS.get(value, ()))


def caption(event: Bounce, generator: Generator | None = None) -> str:
    """The canonical caption; or, with a generator, one training caption drawn at random."""
    if generator is None:
        return _canonical(event)
    draws = iter(torch.rand(24, generator=generator).tolist())
    drawn = next(draws)
    if drawn < CANONICAL_SHARE:
        return _canonical(event)
    is_complete = drawn < CANONICAL_SHARE + COMPLETE_SHARE
    shares = dict.fromkeys(KEEP, KEEP_BRIEF) if next(draws) < BRIEF_SHARE else KEEP
    kept = {name for name, share in shares.items() if next(draws) < share or is_complete}
    kept = kept if kept - {"speed"} else set(KEEP)  # a speed alone says nothing
    template = _pick(TEMPLATES, draws)
    # in this order, which is that of the draws
    slots = {"subject": _subject(event, kept, draws), "motion": _motion(event, kept, draws)}
    slots |= {"background": "", "sound": ""}
    if "background" in kept:
        phrase = _pick(BACKGROUND_PHRASES, draws)
        slots["background"] = phrase.format(_pick(synonyms(event.background), draws))
    if "sound" in kept:
        slots["sound"] = _pick(synonyms(event.sound), draws)
        if not event.is_silent:
            slots["sound"] += _pick(SOUND_ENDINGS, draws)
    return _fill(template, slots)


def _canonical(event: Bounce) -> str:
    speed = "" if event.motion == STILL else f" {event.speed}"
    ending = "" if event.is_silent else " at each bounce"
    return (
        f"a {event.size} {event.color} {event.shape} {event.motion}{speed} "
        f"on a {event.background} background, {event.sound}{ending}"
    )


def _subject(event: Bounce, kept: set[str], draws: Iterator[float]) -> str:
    if not kept & {"size", "color", "shape", "motion"}:
        return ""
    words = [
        _pick(synonyms(getattr(event, name)), draws) for name in ("size", "color") if name in kept
    ]
    words.append(_pick(synonyms(event.shape) if "shape" in kept else NOUNS, draws))
    article = "an" if words[0][0] in "aeiou" else "a"
    return " ".join([article, *words])


def _motion(event: Bounce, kept: set[str], draws: Iterator[float]) -> str:
    if "motion" not in kept:
        return ""
    motion = _pick(synonyms(event.motion), draws)
    if "speed" not in kept or event.motion == STILL:
        return motion
    speed = _pick(synonyms(event.speed), draws)
    is_first = speed.endswith("ly") and next(draws) < 0.3
    return f"{speed} {motion}" if is_first else f"{motion} {speed}"


def _fill(template: str, slots: dict[str, str]) -> str:
    text = ""
    for index, (before, name, *_) in enumerate(Formatter().parse(template)):
        if name and slots[name]:
            text += (before if text or index == 0 else "") + slots[name]
    return text


def _pick(values: tuple[str, ...], draws: Iterator[float]) -> str:
    return values[int(next(draws) * len(values))]


class EventCaptions:
    """Draws a training caption of the event that a key names: for a data set of latents. A class,
    since that is what a configuration can name."""

    def __call__(self, key: str, generator: Generator) -> str:
        return caption(Bounce.from_key(key), generator)
