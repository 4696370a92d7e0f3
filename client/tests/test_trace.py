"""`voxmesh trace` against a coordinator whose reports are made by hand, and the page it writes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

import grpc
import pytest
from command_line import run

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2, conversation_pb2_grpc
from voxmesh_client.cli.app import main
from voxmesh_client.cli.console import to_dict
from voxmesh_client.mesh import Mesh
from voxmesh_client.settings import MeshSettings
from voxmesh_client.trace import NoReports, read_reports
from voxmesh_client.trace_page import page
from voxmesh_runtime.clock import duration, timestamp

pytestmark = pytest.mark.unit

Request = conversation_pb2.ListTurnReportsRequest
Response = conversation_pb2.ListTurnReportsResponse
ReportedTurn = conversation_pb2.ReportedTurn
START_NS = 1_800_000_000_000_000_000
EVIL = '<script>alert("x")</script>&'


def at(ms: float, ahead_s: float = 0.0) -> int:
    return START_NS + round(ms * 1e6) + round(ahead_s * 1e9)


def hop(service: str, sent_ms: float, host: str = "titan") -> conversation_pb2.Hop:
    """20 ms there, 10 of queue, 50 of work, 30 back; the service's clock is 3 s ahead, known within 2 ms."""
    there, began, left, done = (timestamp(at(sent_ms + ms, 3)) for ms in (20, 30, 80, 90))
    made = conversation_pb2.Hop(
        service=service,
        host=host,
        sent_time=timestamp(at(sent_ms)),
        first_output_time=timestamp(at(sent_ms + 110)),
        finished_time=timestamp(at(sent_ms + 130)),
        network_duration=duration(0.05),
        network_there_duration=duration(0.02),
        network_back_duration=duration(0.03),
        queue_duration=duration(0.01),
        compute_duration=duration(0.05),
        clock_offset=duration(3.0),
        clock_offset_error=duration(0.002),
        service_timing=common_pb2.Timing(
            received_time=there, started_time=began, first_output_time=left, finished_time=done
        ),
    )
    corrected = zip(("received", "started", "first_output", "finished"), (20, 30, 80, 90), strict=True)
    for name, ms in corrected:
        getattr(made, f"corrected_{name}_time").CopyFrom(timestamp(at(sent_ms + ms)))
    return made


def turn(index: int, *hops: conversation_pb2.Hop, session: str = "5e55") -> ReportedTurn:
    """A turn that was answered 500 ms after speech."""
    report = conversation_pb2.TurnReport(
        turn_index=index,
        trace_id=f"{index:032x}",
        speech_ended_time=timestamp(at(0)),
        turn_ended_time=timestamp(at(200)),
        first_audio_time=timestamp(at(500)),
        explained_share=0.98,
        hops=hops or (hop("stt/moonshine", 200), hop("tts/hibari", 380)),
        host="conductor",
    )
    return ReportedTurn(session_id=session, report_time=timestamp(at(1000 + index)), report=report)


class Held(conversation_pb2_grpc.ConversationServiceServicer):
    """A coordinator that holds these turns and tells nothing else."""

    def __init__(self, *turns: ReportedTurn) -> None:
        self.turns = list(turns)
        self.requests: list[Request] = []
        self.asked = threading.Event()

    def Converse(self, request_iterator: object, context: object) -> None:  # noqa: N802 # the contract's name # pyright: ignore[reportIncompatibleMethodOverride]
        """Not served here."""
        raise NotImplementedError

    def GetStatus(self, request: object, context: object) -> conversation_pb2.GetStatusResponse:  # noqa: N802 # the contract's name # pyright: ignore[reportIncompatibleMethodOverride]
        """Not served here."""
        raise NotImplementedError

    def ListTurnReports(  # noqa: N802 # the contract's name # pyright: ignore[reportIncompatibleMethodOverride]
        self, request: Request, context: object
    ) -> Response:
        del context
        self.requests.append(request)
        self.asked.set()
        after_ns = request.after_time.ToNanoseconds()
        newer = [each for each in self.turns if each.report_time.ToNanoseconds() > after_ns]
        return Response(turns=newer[-(request.limit or 1) :])


@contextmanager
def coordinator(held: Held) -> Generator[str]:
    """The coordinator's target; it serves in threads, for the command line has a loop of its own."""
    server = grpc.server(ThreadPoolExecutor(2))
    conversation_pb2_grpc.add_ConversationServiceServicer_to_server(held, server)  # pyright: ignore[reportArgumentType] # the stub knows grpc.aio alone
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def printed(*words: str, code: int = 0) -> str:
    done = run(main, "trace", *words)
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


def written(path: Path, *turns: ReportedTurn) -> Path:
    path.write_text("".join(json.dumps(to_dict(each)) + "\n" for each in turns))
    return path


def test_the_newest_turn_is_drawn_with_its_trace_and_session() -> None:
    held = Held(turn(0), turn(1))
    with coordinator(held) as target:
        text = printed("--target", target)
    assert f"trace {1:032x}  session 5e55" in text
    assert "turn 1: first audio 500 ms after speech ended, 98% explained, clocks within ±2.0 ms" in text
    assert "stt/moonshine @titan" in text
    assert "110 ms (network 20+30, queue 10, compute 50) ±2.0 ms" in text
    assert "turn 0" not in text


def test_what_is_asked_for_reaches_the_coordinator() -> None:
    held = Held(turn(0))
    with coordinator(held) as target:
        printed("ABC", "--session", "5e55", "--last", "7", "--target", target)
    (request,) = held.requests
    assert (request.trace_id, request.session_id, request.limit) == ("abc", "5e55", 7)


def test_where_no_turn_is_held_that_is_said() -> None:
    with coordinator(Held()) as target:
        assert "no turn has ended yet" in printed("--target", target, code=1)
        assert "no such turn is held" in printed("abc", "--target", target, code=1)


async def test_every_new_turn_is_followed_once_also_when_many_come_at_once() -> None:
    held = Held(turn(0), turn(1))
    with coordinator(held) as target:
        settings = MeshSettings(coordinator_target=target)
        seen: list[int] = []
        async with Mesh(settings) as mesh:
            async for found in mesh.traces.follow(Request(limit=1)):
                seen.append(found.report.turn_index)
                if seen == [1]:
                    held.turns += [turn(index) for index in range(2, 40)]
                if len(seen) == 39:
                    break
    assert seen == list(range(1, 40))


def test_following_begins_with_no_turn_and_prints_each_as_it_comes() -> None:
    held = Held()
    with coordinator(held) as target:
        command = (sys.executable, "-m", "voxmesh_client", "trace", "--follow", "--json", "--target", target)
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            try:
                assert held.asked.wait(30)
                held.turns += [turn(0), turn(1)]
                assert process.stdout is not None
                lines = [process.stdout.readline() for _ in range(2)]
            finally:
                process.kill()
    assert [json.loads(line)["report"]["turn_index"] for line in lines] == [0, 1]


def test_what_json_writes_is_read_and_drawn_again(tmp_path: Path) -> None:
    with coordinator(Held(turn(0), turn(1), turn(2))) as target:
        text = printed("--last", "3", "--json", "--target", target)
    path = tmp_path / "turns.json"
    path.write_text(text)
    assert read_reports(path) == [turn(0), turn(1), turn(2)]
    drawn = printed("--from", str(path))
    assert all(f"turn {index}: first audio 500 ms" in drawn for index in range(3))
    assert "turn 2: " in printed("--from", str(path), "--last", "1")
    assert "turn 1: " in printed(f"{1:032x}", "--from", str(path))


def test_what_ask_writes_is_read_too_and_what_a_newer_coordinator_adds_is_left_out(tmp_path: Path) -> None:
    plain = to_dict(turn(4))
    plain["report"]["invented_later"] = 1
    path = tmp_path / "asked.json"
    path.write_text(
        json.dumps({"turns": [{"turn_index": 4, "text": "hello", "report": plain["report"]}], "audio": None})
    )
    assert [found.report for found in read_reports(path)] == [turn(4).report]


@pytest.mark.parametrize("text", ["", "{}", "no json", '{"report": {"turn_index": "many"}}', '{"turns": []}', "[1, 2]"])
def test_a_file_without_reports_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(NoReports, match=r"other\.json"):
        read_reports(path)
    errors = printed("--from", str(path), code=1)
    assert "other.json" in errors
    assert "Traceback" not in errors


def test_following_cannot_be_written_to_a_page(tmp_path: Path) -> None:
    assert "--follow" in printed("--follow", "--html", str(tmp_path / "page.html"), code=2)


def test_the_page_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    source = written(tmp_path / "turns.json", turn(0), turn(1))
    target = tmp_path / "page.html"
    assert f"2 turns are in {target}" in printed("--from", str(source), "--html", str(target))
    assert target.read_text(encoding="utf-8") == page([turn(0), turn(1)])


class Elements(HTMLParser):
    """All elements of a page, each with its attributes, and whether every one is closed."""

    VOID = frozenset({"meta"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_fetches_nothing() -> None:
    text = page([turn(0), turn(1)])
    elements = Elements(text)
    assert not elements.open
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in elements.found}
    links = [told["href"] for _, told in elements.found if "href" in told]
    assert links == ["#turn-0", "#turn-1"]
    assert not re.search(r"url\(|@import|https?:|src=", text)


def test_the_page_has_a_bar_for_each_part_as_long_as_it_is() -> None:
    elements = Elements(page([turn(0, hop("stt/moonshine", 200))]))
    kinds = ("wait", "network", "queue", "compute", "more")
    widths: dict[str, list[float]] = {kind: [] for kind in kinds}
    for tag, told in elements.found:
        kind = told.get("class") or ""
        if tag == "rect" and kind in widths and "x" in told:
            widths[kind].append(float((told["width"] or "").rstrip("%")))
    assert [len(widths[kind]) for kind in kinds] == [1, 2, 1, 1, 1]
    # The axis is as long as speech end to first audio, 500 ms.
    assert widths["network"] == pytest.approx([4, 6], abs=0.01)
    assert widths["compute"] == pytest.approx([10], abs=0.01)
    assert widths["wait"] == pytest.approx([40], abs=0.01)


def test_the_page_tells_each_time_by_both_clocks_and_the_bound() -> None:
    text = page([turn(0, hop("stt/moonshine", 200))])
    assert "08:00:00.220000" in text  # received, by the coordinator's clock
    assert "08:00:03.220000" in text  # the same by the service's, 3 s ahead
    assert "+3,000.00 ms from ours, ±2.0 ms" in text


def test_names_from_the_mesh_are_shown_as_they_are_and_never_run() -> None:
    text = page([turn(0, hop(EVIL, 200, host=EVIL), session=EVIL)])
    assert EVIL not in text
    assert "&lt;script&gt;" in text
    assert not Elements(text).open


def test_a_turn_without_times_or_with_a_hop_that_never_ended_is_on_the_page_too() -> None:
    empty = ReportedTurn(report=conversation_pb2.TurnReport(turn_index=8))
    broken = turn(9, conversation_pb2.Hop(service="llm/llama", sent_time=timestamp(at(210))))
    text = page([empty, broken])
    assert "turn 8: no time was reported" in text
    assert "llm/llama" in text
    assert not Elements(text).open
