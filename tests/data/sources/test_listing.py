"""Which of several files with one stem is the picture and which the sound."""

import random

import pytest

from mmdiff.data.sources.listing import StemFiles, choose_media, stem_of, suffix_of


@pytest.mark.parametrize(
    "names, chosen",
    [
        (["a.txt", "a.json"], None),
        (["a.mp4", "a.txt"], StemFiles("a.mp4", None, ())),
        (["a.wav", "a.mp4"], StemFiles("a.mp4", "a.wav", ())),
        (["a.png", "a.wav"], StemFiles("a.png", "a.wav", ())),
        (["a.wav"], StemFiles("a.wav", None, ())),
        (["a.jpg", "a.mp4"], StemFiles("a.mp4", None, ("a.jpg",))),
        (["a.wav", "a.flac", "a.webm", "a.MP4"], StemFiles("a.MP4", "a.flac", ("a.webm", "a.wav"))),
        (["a.heic", "a.mov"], StemFiles("a.mov", None, ())),
        (["a.heic", "a.txt"], StemFiles("a.heic", None, ())),
        (["a.mp3", "a.flac"], StemFiles("a.flac", None, ("a.mp3",))),
    ],
)
def test_choice_does_not_depend_on_the_order(names: list[str], chosen: StemFiles | None) -> None:
    for seed in range(4):
        random.Random(seed).shuffle(names)
        assert choose_media(names) == chosen


@pytest.mark.parametrize(
    "name, stem, suffix",
    [
        ("a/b.MP4", "a/b", ".mp4"),
        ("v1.5.mp4", "v1.5", ".mp4"),
        ("a", "a", ""),
        (".mp4", ".mp4", ""),
        ("a.b/c", "a.b/c", ""),
        ("..", "..", ""),
        ("", "", ""),
    ],
)
def test_stem_and_suffix(name: str, stem: str, suffix: str) -> None:
    assert (stem_of(name), suffix_of(name)) == (stem, suffix)
