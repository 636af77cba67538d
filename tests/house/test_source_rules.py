"""House rules that a linter does not know."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.house.source import PACKAGES, Source, docstrings, imported, sources

MAX_LINES = 400
EVERYWHERE_BUT_CONTRACTS = tuple(package for package in PACKAGES if package != "caravan_contracts")
ASYNC_PACKAGES = tuple(package for package in PACKAGES if package not in ("caravan_contracts", "caravan"))
BLOCKING_MODULES = {"requests", "urllib3", "httpx"}
BLOCKING_CALLS = {
    "time.sleep", "subprocess.run", "subprocess.call", "subprocess.check_call", "subprocess.check_output", "os.system",
    "socket.create_connection", "urllib.request.urlopen", "input",
}  # fmt: skip


def test_subjects_are_built_by_the_contracts_alone() -> None:
    found = [
        f"{source}:{node.lineno}"
        for source in sources(*EVERYWHERE_BUT_CONTRACTS)
        for node in strings(source)
        if "caravan.v1" in node.value
    ]
    assert not found, f"raw subjects; use caravan_contracts.subjects: {found}"


def test_files_stay_small_enough_to_read() -> None:
    found = {str(source): lines for source in sources() if (lines := source.text.count("\n")) > MAX_LINES}
    assert not found, f"more than {MAX_LINES} lines; split by purpose: {found}"


def test_async_code_never_blocks_its_loop() -> None:
    found = [
        f"{source}:{line} {name}" for source in sources(*ASYNC_PACKAGES) for name, line in blocking_calls(source.tree)
    ]
    assert not found, f"blocking calls in async functions: {found}"


def test_services_use_no_blocking_http_client() -> None:
    found = [
        f"{source}:{node.lineno}"
        for source in sources(*ASYNC_PACKAGES)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Import) and any(name.name.partition(".")[0] in BLOCKING_MODULES for name in node.names)
    ]
    assert not found, f"aiohttp is our HTTP client: {found}"


def test_nothing_reports_home() -> None:
    """onnxruntime sends telemetry to its maker unless the environment says no before it is imported."""
    found = [
        str(source)
        for source in sources()
        if any(name == "onnxruntime" for name, _line in imported(source.tree))
        and "ORT_DISABLE_TELEMETRY" not in source.text
    ]
    assert not found, f"set ORT_DISABLE_TELEMETRY=1 before the import: {found}"


def test_errors_are_not_swallowed() -> None:
    """`except Exception: pass` hides the failure that somebody will look for; narrow ones may say nothing."""
    found = [
        f"{source}:{node.lineno}"
        for source in sources()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ExceptHandler) and catches_everything(node) and says_nothing(node)
    ]
    assert not found, found


def strings(source: Source) -> Iterator[ast.Constant]:
    prose = docstrings(source.tree)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node


def blocking_calls(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Calls made directly by an `async def`; a nested function may run in a thread."""
    for function in ast.walk(tree):
        if isinstance(function, ast.AsyncFunctionDef):
            yield from _blocking_in(function)


def _blocking_in(node: ast.AST) -> Iterator[tuple[str, int]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.Lambda, ast.AsyncFunctionDef)):
            continue
        if isinstance(child, ast.Call) and (name := ast.unparse(child.func)) in BLOCKING_CALLS:
            yield name, child.lineno
        yield from _blocking_in(child)


def catches_everything(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or ast.unparse(handler.type) in {"Exception", "BaseException"}


def says_nothing(handler: ast.ExceptHandler) -> bool:
    return all(isinstance(statement, ast.Pass | ast.Continue) for statement in handler.body)
