from dataclasses import replace

from mmdiff.bounce.bounce import PITCHES
from mmdiff.bounce.draw import draw
from mmdiff.bounce.studies.cross_modal import PictureToSound
from mmdiff.values.shapes import ClipShape
from tests.bounce.studies.stages import results


def test_a_wrong_pitch_fails_only_where_it_was_asked_for(tmp_path):
    def other_pitch(truth, asked):
        names = list(PITCHES)
        sound = names[(names.index(truth.event.sound) + 1) % len(names)]
        return draw(replace(truth.event, sound=sound), ClipShape())

    without, asked = results(PictureToSound(), other_pitch, tmp_path)
    assert without.is_met
    assert asked.value("asked pitch") == 0
    assert asked.value("true impacts with a ping within 62 ms") > 95
