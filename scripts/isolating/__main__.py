"""`scripts/isolate [--minutes 10] [--seed N]`"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from random import SystemRandom

from ledger.store.embedded import EmbeddedServer
from scripts.isolating.asking import Refused
from scripts.isolating.rounds import Broken, Differs, campaign


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="isolate",
        description="Ask with fifty clients while history is brought in and rebuilds run.",
    )
    parser.add_argument("--minutes", type=float, default=10, help="for about how long")
    parser.add_argument("--seed", type=int, help="of all chance; by default another every time")
    asked = parser.parse_args()
    seed = SystemRandom().randrange(2**31) if asked.seed is None else asked.seed
    print(f"seed {seed}", flush=True)
    home = Path(tempfile.mkdtemp(prefix="qledger-isolate-"))
    home.chmod(0o755)
    with EmbeddedServer(home) as server:
        try:
            campaign(server, home, seed, asked.minutes * 60)
        except (Broken, Differs, Refused) as found:
            print(f"seed {seed}: {found}\nwhat the server said is kept in {home}")
            return 1
    shutil.rmtree(home)
    return 0


if __name__ == "__main__":
    sys.exit(main())
