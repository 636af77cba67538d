"""Options, ports, logs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from caravan.cli.logs import readable, tail
from caravan.errors import StartError
from caravan.runtime import logs
from caravan.runtime.options import find_stack, parse_scale
from caravan.runtime.ports import Ports

SERVICES = ("gateway", "registry", "inference")


def test_scale_is_read_in_both_spellings() -> None:
    assert parse_scale(["inference=3", "gateway=2"], SERVICES) == {"inference": 3, "gateway": 2}
    assert parse_scale(["inference=3,gateway=2"], SERVICES) == {"inference": 3, "gateway": 2}


@pytest.mark.parametrize("text", ["inference", "inference=", "inference=x", "inference=0", "inference=-1", "camel=2"])
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
    assert Ports({"nats": first}).take("nats") == first
    assert Ports({"nats": first}).take("nats", fresh=True) != first


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


def test_a_json_log_line_is_shown_as_a_line() -> None:
    line = '{"ts":"2030-01-02T03:04:05Z","level":"info","message":"ready","request_id":"r1"}'
    assert readable(line) == "2030-01-02T03:04:05Z INFO ready request_id=r1"
    assert readable("plain {text}") == "plain {text}"
