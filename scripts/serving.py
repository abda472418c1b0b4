"""A server in a process of its own, whose log is kept in a file.

Law: what it says never fills a pipe that nobody reads, however long it is asked.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.soaking.sources import QLEDGER, ROOT

LOG = "server.log"
ENDING_SECONDS_MAX = 60
_ADDRESS = re.compile(r"http://\S+?(?=/graphql)")


def environment(url: str, home: Path) -> dict[str, str]:
    """The variables under which a command finds a ledger.

    Args:
        url: of its database.
        home: where it keeps what it writes.
    """
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("QLEDGER_")},
        "QLEDGER_DATABASE_URL": url,
        "QLEDGER_HOME": str(home),
        "QLEDGER_WORKERS": "2",
        "QLEDGER_QUERY_POINTS_A_MINUTE": "0",
    }


@contextmanager
def served(url: str, home: Path) -> Iterator[str]:
    """The address of a server on a free port; it is ended at the end.

    Args:
        url: of the database.
        home: where its log is kept.

    Raises:
        RuntimeError: it does not start.
    """
    with (home / LOG).open("wb") as log:
        process = subprocess.Popen(
            [QLEDGER, "serve", "--port", "0"],
            stdout=subprocess.PIPE, stderr=log, text=True, env=environment(url, home), cwd=ROOT,
        )  # fmt: skip
        try:
            first = process.stdout.readline() if process.stdout else ""
            found = _ADDRESS.search(first)
            if found is None:
                raise RuntimeError(f"the server does not start: {first}")
            yield found[0]
        finally:
            process.terminate()
            process.communicate(timeout=ENDING_SECONDS_MAX)
