"""`python -m scripts.demo_book FOLDER [--seed N] [--anchor DATE]`"""

import argparse
from datetime import date
from pathlib import Path

from scripts.demo_book.files import ANCHOR, SEED, write_book


def main() -> None:
    parser = argparse.ArgumentParser(prog="demo_book", description="Invent a book of business.")
    parser.add_argument("folder", type=Path, help="where to write it")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument(
        "--anchor", type=date.fromisoformat, default=ANCHOR, help="the first day after the book"
    )
    asked = parser.parse_args()
    counts = write_book(asked.folder, seed=asked.seed, anchor=asked.anchor)
    for name, count in counts.items():
        print(f"{count:>6,} rows  {asked.folder / name}")


if __name__ == "__main__":
    main()
