from dataclasses import replace

from mmdiff.bounce.adherence import WANTED, WANTED_HELD_OUT, adherence, kept_figures
from mmdiff.bounce.bounce import Bounce
from mmdiff.bounce.judge import Reading

EVENT = Bounce("small", "red", "circle", "black", "falling and bouncing", "slowly", "no sound")
RIGHT = Reading("black", "red", "small", "circle", "falling and bouncing", "slowly", "no sound")


def test_equal_readings_are_all_right() -> None:
    result = adherence("a", "A", [(EVENT, RIGHT)] * 3, wanted=WANTED)
    assert result.is_met
    assert all(figure.value == 100 and figure.count == 3 for figure in result.figures)


def test_each_attribute_counts_apart_and_the_triple_together() -> None:
    readings = [
        RIGHT,
        replace(RIGHT, color="blue"),
        replace(RIGHT, shape="square"),
        replace(RIGHT, sound=None),
    ]
    pairs = [(EVENT, reading) for reading in readings]
    result = adherence("a", "A", pairs, wanted=WANTED)
    values = {figure.name: figure.value for figure in result.figures}
    assert (values["color"], values["shape"], values["sound"], values["size"]) == (75, 75, 75, 100)
    assert values["color, shape, motion"] == 50
    assert values["all"] == 25
    assert not result.is_met
    kept = {figure.name: figure.value for figure in kept_figures(pairs, wanted=90.0)}
    assert (kept["object (color, shape, size)"], kept["background"], kept["color"]) == (50, 100, 75)


def test_held_out_asks_for_the_triple_only() -> None:
    readings = [RIGHT] * 4 + [replace(RIGHT, shape="square", sound=None)]
    pairs = [(EVENT, reading) for reading in readings]
    result = adherence("a", "A", pairs, wanted=WANTED_HELD_OUT)
    assert result.is_met
    assert [figure.name for figure in result.figures if figure.wanted] == ["color, shape, motion"]
