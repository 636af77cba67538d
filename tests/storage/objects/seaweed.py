"""SeaweedFS with its S3 API, one process: a real server for the tests of S3."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path
from typing import Self

import aiohttp
from caravan_storage.objects import from_url
from caravan_storage.objects.s3 import S3Objects

from tests.infrastructure.ports import free_port

START_SECONDS = 50.0
ACCESS_KEY = "AKIATESTSOFCARAVAN"
SECRET_KEY = "not-a-secret-of-anybody"
BUCKET = "caravan"
KEYS = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
PORTS = (
    "master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc",
    "s3.port", "s3.port.grpc",
)  # fmt: skip


class Seaweed:
    """In `folder`, which must be empty: a first start elects nobody and is ready in two seconds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = {name: free_port() for name in PORTS}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def port(self) -> int:
        return self._ports["s3.port"]

    def url(self, prefix: str, port: int | None = None, bucket: str = BUCKET) -> str:
        return f"s3://{bucket}/{prefix}?endpoint=http://127.0.0.1:{port or self.port}&region=us-east-1"

    def objects(self, prefix: str, port: int | None = None) -> S3Objects:
        """Through `port`, for who sits between."""
        made = from_url(self.url(prefix, port), KEYS)
        assert isinstance(made, S3Objects)
        return made

    async def __aenter__(self) -> Self:
        self._folder.mkdir(parents=True)
        config = self._folder / "s3.json"
        key = {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}
        config.write_text(json.dumps({"identities": [{"name": "tests", "credentials": [key], "actions": ["Admin"]}]}))
        program = shutil.which("weed", path=f"{Path(sys.executable).parent}") or "weed"
        with (self._folder / "log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                program, "server", f"-dir={self._folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-volume.max=30",
                "-master.volumeSizeLimitMB=128", "-master.telemetry=false", "-s3", "-s3.iam=false",
                "-s3.port.iceberg=0", "-metricsPort=0", f"-s3.config={config}",
                f"-filer.localSocket={self._folder}/filer", f"-s3.localSocket={self._folder}/s3",
                *(f"-{name}={port}" for name, port in self._ports.items()),
                stdout=log, stderr=log, cwd=self._folder,
            )  # fmt: skip
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._answers()
                await self._make_bucket()
        except BaseException:
            await self.kill()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
            self._remove_sockets()

    def _remove_sockets(self) -> None:
        for part in ("master", "volume", "filer", "s3"):  # where it wants them, whatever it is told
            Path(f"/tmp/seaweedfs-{part}-grpc-{self._ports[f'{part}.port.grpc']}.sock").unlink(missing_ok=True)

    async def uploads(self) -> list[str]:
        """Objects of multipart uploads that have not ended."""
        store = self.objects("x")
        async with store._client.calls() as s3:
            page = await s3.list_multipart_uploads(Bucket=BUCKET)
        await store.close()
        return [upload["Key"] for upload in page.get("Uploads", ())]

    async def _answers(self) -> None:
        async with aiohttp.ClientSession() as http:
            while self._process is not None and self._process.returncode is None:
                try:
                    async with http.get(f"http://127.0.0.1:{self.port}/"):
                        return
                except aiohttp.ClientError:
                    await asyncio.sleep(0.1)
        raise AssertionError((self._folder / "log").read_text()[-4000:])

    async def _make_bucket(self) -> None:
        store = self.objects("x")
        async with store._client.calls() as s3:
            await s3.create_bucket(Bucket=BUCKET)
        await store.close()
