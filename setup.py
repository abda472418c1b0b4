"""Compiles the fold to C where it is asked for; what it says does not change, only how fast.

    QLEDGER_COMPILE=1 pip install --no-build-isolation .

needs a C compiler and mypy, whose mypyc translates the annotated modules as they are. Without the
variable everything is installed as plain Python. In a checkout `scripts/setup` compiles
(`scripts/compiled_fold.py`).

Compiled objects cannot be pickled, so what is handed to other processes (the playbooks of
`projections/fold/rulebook.py`) stays plain Python.
"""

import os
from pathlib import Path

from setuptools import setup

COMPILED = (
    "ledger/domain/deal.py",
    "ledger/domain/history.py",
    "projections/fold/accounts.py",
    "projections/fold/claims.py",
    "projections/fold/converted.py",
    "projections/fold/criterion.py",
    "projections/fold/deal_history.py",
    "projections/fold/gate_rules.py",
    "projections/fold/gates.py",
    "projections/fold/hearing.py",
    "projections/fold/known_then.py",
    "projections/fold/moves.py",
    "projections/fold/qualification.py",
    "projections/fold/states.py",
    "projections/fold/sums.py",
    "projections/fold/verdict.py",
    "projections/fold/walk.py",
)


def extensions() -> list[object]:
    if os.environ.get("QLEDGER_COMPILE") != "1":
        return []
    from mypyc.build import mypycify  # noqa: PLC0415 - only who compiles needs it

    missing = [name for name in COMPILED if not Path(name).is_file()]
    if missing:
        raise SystemExit(f"setup.py names modules that are not there: {', '.join(missing)}")
    level = os.environ.get("QLEDGER_COMPILE_LEVEL", "3")  # 0 compiles sooner, and runs slower
    return list(mypycify(["--config-file", os.devnull, *COMPILED], opt_level=level))


setup(ext_modules=extensions())
