"""The event stream as the demo reads it."""

from vidprod.cli.events import Message, read


def test_a_message_has_the_last_id_its_type_and_its_data() -> None:
    lines = [
        "id: 7",
        "event: segment.ready",
        'data: {"index": 0}',
        "",
        ": heartbeat",
        "",
        "event: progress",
        "data:{}",
        "",
    ]
    assert list(read(lines)) == [
        Message(id="7", type="segment.ready", data={"index": 0}),
        Message(id="", type="progress", data={}),
    ]


def test_data_of_several_lines_is_one() -> None:
    assert list(read(["data: {", 'data: "a": 1}', ""])) == [Message(id="", type="message", data={"a": 1})]


def test_a_message_that_was_cut_off_is_none() -> None:
    assert list(read(["id: 8", "event: job.completed", "data: {}"])) == []
