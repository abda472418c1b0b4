"""Progress in the terminal, on standard error, for work that takes a while."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

Advance: TypeAlias = Callable[[str, int, int | None], None]
"""(what is being done, how much is done, of how much where that is known)"""


@contextmanager
def bar() -> Iterator[Advance]:
    """A progress bar for each thing that is reported; none where nobody looks."""
    if not sys.stderr.isatty():
        yield lambda _what, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeElapsedColumn as Elapsed

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Elapsed())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks: dict[str, int] = {}

        def advance(what: str, done: int, total: int | None) -> None:
            task = tasks.get(what)
            if task is None:
                task = tasks[what] = progress.add_task(what, total=total)
            progress.update(task, completed=done, total=total)  # type: ignore[arg-type]

        yield advance
