from mmdiff.bounce.caption import caption
from tests.bounce.studies.stages import answered_stage, perfect


def test_prompts_that_leave_things_out(tmp_path):
    for truth in answered_stage(perfect, tmp_path).truths(is_sounding=True):
        event = truth.event
        assert event.sound in truth.prompt
        assert event.sound not in truth.prompt_without_pitch
        assert truth.prompt_without_pitch.endswith("a ping at each bounce")
        assert event.color not in truth.prompt_of_motion
        assert event.background not in truth.prompt_of_motion
        assert event.motion in truth.prompt_of_motion
        assert caption(event) == truth.prompt


def test_truths_are_a_prefix_of_more_truths(tmp_path):
    few, many = (answered_stage(perfect, tmp_path, num_clips=n).truths() for n in (3, 9))
    assert [t.event for t in few] == [t.event for t in many[:3]]
