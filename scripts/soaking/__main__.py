"""`scripts/soak [--minutes 10] [--seed N] [--source NAME ...]`"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from random import SystemRandom

from ledger.store.embedded import EmbeddedServer
from scripts.soaking.rounds import Broken, Soak
from scripts.soaking.sources import NAMES, sources


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="soak",
        description="Kill whoever keeps the read models, at random, and compare everything.",
    )
    parser.add_argument("--minutes", type=float, default=10, help="for about how long")
    parser.add_argument("--seed", type=int, help="of all chance; by default another every time")
    parser.add_argument(
        "--source", action="append", choices=NAMES, help="what to bring in; by default everything"
    )
    asked = parser.parse_args()
    seed = SystemRandom().randrange(2**32) if asked.seed is None else asked.seed
    print(f"seed {seed}")
    home = Path(tempfile.mkdtemp(prefix="qledger-soak-"))
    home.chmod(0o755)
    with EmbeddedServer(home) as server:
        soak = Soak(server, home, seed)
        try:
            rounds = soak.run(list(sources(asked.source or NAMES)), asked.minutes)
        except Broken as broken:
            print(f"seed {seed}: {broken}\nwhat the processes said is kept in {home}")
            return 1
        finally:
            soak.close()
    shutil.rmtree(home)
    print(f"seed {seed}: {rounds} rounds, no difference")
    return 0


if __name__ == "__main__":
    sys.exit(main())
