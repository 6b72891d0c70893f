"""Each published publication has its receipt, written with it, and `vidprod receipt verify` reads them all."""

import asyncio
import hashlib
import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from tests.publishing.stage import MINUTE_MS, Stage
from tests.store.given import an_info
from vidprod.cli import main
from vidprod.domain.publication import Publication
from vidprod.domain.receipt import FIRST, Receipt, faults
from vidprod.errors import NotFound, StoreError


async def test_a_receipt_says_what_went_from_the_take_to_the_platform(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        accounts = [await stage.connect("youtube"), await stage.connect("tiktok")]
        planned = await stage.plan(accounts, n=2, apart_ms=MINUTE_MS)
        with pytest.raises(NotFound, match="no receipt"):
            await stage.store.read(lambda db: db.receipts.of(planned[0].id))
        await stage.settle()
        receipts = await stage.store.read(lambda db: db.receipts.after(0, limit=10))
        assert [one.number for one in receipts] == [1, 2, 3, 4]
        assert faults(receipts, whole=True) == []
        live = await stage.get(planned[0])
        receipt = await stage.store.read(lambda db: db.receipts.of(live.id))
        segment = await stage.store.read(lambda db: db.segments.get(live.segment_id))
        data = stage.blobs.segment_path(segment.job_id, segment.id, ".mp4").read_bytes()
        body = receipt.body
        assert body["output"] == {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        assert body["source"]["sha256"] == an_info().sha256
        assert body["segment"] == {"id": segment.id, "index": 0, "in_us": segment.in_us, "out_us": segment.out_us}
        assert body["publication"]["remote_id"] == live.remote_id
        assert body["publication"]["published_at"] == live.published_at
        assert body["publication"]["account"] == "youtube-ann"
        assert body["previous"] == (FIRST if receipt.number == 1 else receipts[receipt.number - 2].hash)
        for sql in ("update receipt set hash = 'x'", "delete from receipt"):
            with pytest.raises(StoreError, match="never"):
                await stage.store.write(lambda db, sql=sql: db.receipts._run(sql))  # type: ignore[misc]


async def _publish_two(folder: Path) -> tuple[Publication, Receipt]:
    """The first publication, and the receipt of the second."""
    async with Stage(folder).open() as stage:
        first, second = await stage.plan(await stage.connect(), n=2, apart_ms=MINUTE_MS)
        await stage.settle()
        receipt: Receipt = await stage.store.read(lambda db: db.receipts.of(second.id))
        return first, receipt


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["receipt", *map(str, arguments)])


def test_receipts_are_verified_from_the_database_and_from_files(tmp_path: Path) -> None:
    data, one, two = tmp_path / "data", tmp_path / "first.json", tmp_path / "second.json"
    data.mkdir()
    first, receipt = asyncio.run(_publish_two(data))
    done = _run("verify", "--data-dir", data)
    assert (done.exit_code, done.stdout) == (0, "2 receipts are as they were written.\n"), done.output
    shown = _run("show", first.id, "--data-dir", data)
    one.write_text(shown.stdout)
    two.write_bytes(msgspec.json.encode(receipt))
    done = _run("verify", one, two)
    assert (done.exit_code, done.stdout) == (0, "2 receipts are as they were written.\n"), done.output

    forged = json.loads(shown.stdout)
    forged["body"]["publication"]["url"] = "https://elsewhere"
    one.write_text(json.dumps(forged))
    done = _run("verify", one, two)
    assert done.exit_code == 1
    assert "its body is not what was hashed" in done.stderr
    one.write_text("{}")
    done = _run("verify", one)
    assert done.exit_code == 1
    assert "first.json is no receipt" in done.stderr


def test_what_is_no_publication_has_no_receipt(tmp_path: Path) -> None:
    done = _run("show", "pub_1", "--data-dir", tmp_path)
    assert done.exit_code == 2
    assert "no publication id" in done.stderr
