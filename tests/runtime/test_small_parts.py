"""Options, ports, logs."""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
from pathlib import Path

import pytest

from caravan.cli.detached import PipeReporter
from caravan.cli.events import Event
from caravan.cli.foreground import Warnings
from caravan.cli.logs import readable, tail
from caravan.cli.progress import Progress
from caravan.errors import StartError
from caravan.runtime import logs
from caravan.runtime.mesh import Mesh
from caravan.runtime.options import MeshOptions, find_stack, parse_scale
from caravan.runtime.ports import Ports, claim

SERVICES = ("gateway", "registry", "inference")


def test_scale_is_read_in_both_spellings() -> None:
    assert parse_scale(["inference=3", "gateway=2"], SERVICES) == {"inference": 3, "gateway": 2}
    assert parse_scale(["inference=3,gateway=2"], SERVICES) == {"inference": 3, "gateway": 2}
    assert parse_scale(["inference=0"], SERVICES) == {"inference": 0}


@pytest.mark.parametrize("text", ["inference", "inference=", "inference=x", "gateway=0", "inference=-1", "camel=2"])
def test_a_scale_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(StartError, match="--scale"):
        parse_scale([text], SERVICES)


def test_the_stack_is_what_was_asked_for_then_the_file_here_then_starter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CARAVAN_REGISTRY_STACK", raising=False)
    assert find_stack(None) == "starter"
    (tmp_path / "caravan.yaml").touch()
    assert find_stack(None) == str(tmp_path / "caravan.yaml")
    assert find_stack("ollama") == "ollama"
    with pytest.raises(StartError, match=r"missing\.yaml"):
        find_stack("missing.yaml")


def test_a_port_is_given_once_and_remembered() -> None:
    ports = Ports()
    first = ports.take("nats")
    assert ports.take("postgres") != first
    ports.close()
    later = Ports({"nats": first})
    assert later.take("nats") == first
    assert later.take("nats", fresh=True) != first
    later.close()


def test_a_long_log_moves_aside_while_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    writer = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(writer, b"old\n" * 100)
    assert logs.trim(log, limit=100)
    os.write(writer, b"new\n")
    os.close(writer)
    assert log.read_bytes() == b"new\n"
    assert (tmp_path / "x.log.1").read_bytes() == b"old\n" * 100
    assert not logs.trim(log, limit=100)
    assert tail(log, 5) == ["new"]


def test_a_log_that_cannot_move_aside_is_cut_all_the_same(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(b"old\n" * 100)
    (tmp_path / "x.log.1").mkdir()
    assert logs.trim(log, limit=100)
    assert log.read_bytes() == b""


@pytest.mark.skipif(sys.platform != "linux", reason="claims are kept on Linux only")
def test_a_port_is_claimed_by_one_launcher_at_a_time() -> None:
    first = claim(8321)
    assert first is not None
    assert claim(8321) is None
    other = claim(8322)
    assert other is not None
    first.close()
    again = claim(8321)
    assert again is not None
    again.close()
    other.close()


@pytest.mark.skipif(sys.platform != "linux", reason="claims are kept on Linux only")
def test_two_launchers_never_get_one_port() -> None:
    first = Ports()
    port = first.take("nats")
    second = Ports({"gateway": port})
    assert second.take("gateway") != port
    first.close()
    third = Ports({"gateway": port})
    assert third.take("gateway") == port
    assert third.take("gateway") == port, "its own claim is no obstacle"
    assert third.take("gateway", fresh=True) != port
    second.close()
    third.close()


@pytest.mark.parametrize("seconds", ["abc", "-1", "nan", "inf"])
def test_a_drain_time_that_is_none_is_said_before_anything_starts(
    seconds: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARAVAN_DRAIN_SECONDS", seconds)
    with pytest.raises(StartError, match="CARAVAN_DRAIN_SECONDS"):
        Mesh(MeshOptions(tmp_path))


def test_a_warning_is_shown_as_it_is_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    Progress()(Event("warning", text="postgres: its last words: [/var/lib] [bold] [/]"))
    assert "[/var/lib] [bold] [/]" in capsys.readouterr().err


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_who_warns_on_a_full_disk_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    monkeypatch.setattr(sys, "stderr", FullDisk())
    PipeReporter(writing)(Event("warning", text="a child ended"))
    with os.fdopen(reading, "rb") as pipe:
        assert Event.decode(pipe.readline()).text == "a child ended", "the launcher's starter hears of it all the same"


def test_a_warning_that_cannot_be_shown_is_no_error_of_who_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    def report(event: Event) -> None:
        raise OSError(errno.EIO, "the terminal is gone")

    monkeypatch.setattr(logging, "raiseExceptions", False)
    handler = Warnings(report)
    log = logging.getLogger("tests.warnings")
    log.addHandler(handler)
    log.warning("a child ended")
    log.removeHandler(handler)


def test_a_json_log_line_is_shown_as_a_line() -> None:
    line = '{"ts":"2030-01-02T03:04:05Z","level":"info","message":"ready","request_id":"r1"}'
    assert readable(line) == "2030-01-02T03:04:05Z INFO ready request_id=r1"
    assert readable("plain {text}") == "plain {text}"
