import copy

from mmdiff.media.rejection import Reason, RejectedMedia, Rejection, rejected


def test_every_reason_has_one_line_of_hint_and_its_own_name():
    for reason in Reason:
        assert reason.value == reason.name.lower()
        assert len(reason.hint.splitlines()) == 1


def test_a_message_is_one_line_that_can_be_written_whatever_the_name():
    rejection = rejected("a\nb\udcff.mp4", Reason.DAMAGED, "decode", "is damaged").rejection
    assert rejection.file == "a\nb\udcff.mp4"
    assert rejection.message.encode("utf-8").decode().splitlines() == [rejection.message]


def test_the_error_travels_between_processes():
    error = copy.copy(rejected("a.mp4", Reason.EMPTY, "open", "is empty"))  # as pickle does
    assert isinstance(error, RejectedMedia)
    assert error.rejection == Rejection("a.mp4", Reason.EMPTY, "open", "a.mp4 is empty")
