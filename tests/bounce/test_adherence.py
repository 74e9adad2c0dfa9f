from dataclasses import dataclass, replace

import pytest

from mmdiff.bounce.adherence import adherence, adherence_held_out, confusions


@dataclass(frozen=True)
class Seen:
    background: str = "black"
    color: str = "red"
    size: str = "small"
    shape: str = "circle"
    motion: str = "falling and bouncing"
    sound: str | None = "no sound"
    speed: str = "slowly"


def test_equal_readings_are_all_right() -> None:
    result = adherence([Seen()] * 3, [Seen()] * 3)
    assert result.is_met
    assert all(figure.value == 100 and figure.count == 3 for figure in result.figures)


def test_each_attribute_counts_apart_and_the_triple_together() -> None:
    readings = [
        Seen(),
        replace(Seen(), color="blue"),
        replace(Seen(), shape="square"),
        Seen(sound=None),
    ]
    result = adherence([Seen()] * 4, readings)
    values = {figure.name: figure.value for figure in result.figures}
    assert (values["color"], values["shape"], values["sound"], values["size"]) == (75, 75, 75, 100)
    assert values["color, shape, motion"] == 50
    assert values["all"] == 25
    assert not result.is_met


def test_held_out_asks_for_the_triple_only() -> None:
    readings = [Seen()] * 4 + [replace(Seen(), shape="square", sound=None)]
    result = adherence_held_out([Seen()] * 5, readings)
    assert result.is_met
    assert [figure.name for figure in result.figures if figure.wanted] == ["color, shape, motion"]


def test_confusions_name_what_was_taken_for_what() -> None:
    readings = [replace(Seen(), color="blue")] * 2 + [replace(Seen(), color="cyan"), Seen()]
    found = confusions([Seen()] * 4, readings, attribute="color")
    assert list(found.items()) == [(("red", "blue"), 2), (("red", "cyan"), 1)]


@pytest.mark.parametrize(("num_events", "num_readings"), [(0, 0), (2, 1)])
def test_unpaired_readings_are_refused(num_events: int, num_readings: int) -> None:
    with pytest.raises(ValueError, match="one reading for each event"):
        adherence([Seen()] * num_events, [Seen()] * num_readings)
