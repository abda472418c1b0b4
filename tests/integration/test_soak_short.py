"""A short soak: real processes are killed while a history goes on, and everything is compared.

`scripts/soak` does the same for as long as it is asked to, over more histories.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECONDS_MAX = 240


def test_whatever_is_killed_live_tables_rebuilt_tables_and_log_stay_equal() -> None:
    seed = random.randrange(2**32)
    soak = [sys.executable, "-m", "scripts.soaking", "--seed", str(seed)]
    done = subprocess.run(
        [*soak, "--minutes", "0.2", "--source", "stories"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=SECONDS_MAX,
    )
    said = f"{done.stdout}{done.stderr}"
    print(said)
    assert done.returncode == 0, said
    assert re.search(rf"seed {seed}: [1-9][0-9]* rounds, no difference", done.stdout), said
