"""`scripts/fuzz [--seconds 600] [--seed N]`"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom

import httpx
import psycopg

from ledger.store.embedded import EmbeddedServer
from ledger.store.migrate import migrate
from scripts.fuzzing.asking import REQUEST_SECONDS_MAX, Fuzz
from scripts.serving import LOG, environment, served
from scripts.soaking.sources import DEMO, ROOT


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="fuzz", description="Ask a served ledger whatever its schema allows."
    )
    parser.add_argument("--seconds", type=float, default=600, help="for about how long")
    parser.add_argument("--seed", type=int, help="of all chance; by default another every time")
    asked = parser.parse_args()
    seed = SystemRandom().randrange(2**32) if asked.seed is None else asked.seed
    print(f"seed {seed}", flush=True)
    home = Path(tempfile.mkdtemp(prefix="qledger-fuzz-"))
    home.chmod(0o755)
    with (
        book_served(home) as address,
        httpx.Client(base_url=address, timeout=REQUEST_SECONDS_MAX) as http,
    ):
        fuzz = Fuzz(http)
        faults = fuzz.run(asked.seconds, seed)
    said = (home / LOG).read_text(encoding="utf-8", errors="replace")
    for fault in faults:
        print(f"\n--- {fault.question.of}: {fault.text}")
    counts = ", ".join(f"{name} {count}" for name, count in sorted(fuzz.counts.items()))
    print(f"\nseed {seed}: {counts}; faults {len(faults)}")
    if faults or "Traceback" in said:
        print(f"what the server said is kept in {home / LOG}")
        return 1
    shutil.rmtree(home)
    return 0


@contextmanager
def book_served(home: Path) -> Iterator[str]:
    """The address of a server on a ledger of its own that holds the demo book."""
    with EmbeddedServer(home) as server:
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE fuzz")
        url = server.url("fuzz")
        migrate(url)
        for command in DEMO.commands(home):
            subprocess.run(
                command, check=True, env=environment(url, home), stdout=subprocess.DEVNULL, cwd=ROOT
            )
        with served(url, home) as address:
            yield address


if __name__ == "__main__":
    sys.exit(main())
