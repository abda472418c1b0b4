"""`python -m scripts.bench`: every benchmark, short; a longer run is each module's own."""

from __future__ import annotations

from typing import Annotated

import typer

from scripts.bench import api, append, fold, forecast, growth, read_models


def main(
    seconds: Annotated[float, typer.Option(help="Seconds for each way of appending.")] = 3.0,
    events: Annotated[int, typer.Option(help="Events to import.")] = 60_000,
    deals: Annotated[int, typer.Option(help="Deals in the book to forecast.")] = 100_000,
) -> None:
    """Run all and print their tables."""
    append.main(seconds=seconds, events=events)
    fold.main(seconds=seconds)
    forecast.main(deals=deals)
    forecast.main(deals=deals // 10, evidence=25)
    read_models.main(deals=deals // 20, seconds=seconds, small=deals // 100)
    api.main(deals=deals // 8, repeats=10)
    growth.main(deals=[deals // 100, deals // 20], instants=5)


if __name__ == "__main__":
    typer.run(main)
