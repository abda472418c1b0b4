"""A served ledger is asked at random, and every answer is judged.

Law: an answer is JSON that tells data or errors, each error with a message for a person; what went
wrong inside is a fault whether it shows as a status, as a masked error or as a broken connection.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from contextlib import suppress
from random import Random
from typing import NamedTuple

import httpx
import orjson
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import FlakyFailure

from scripts.fuzzing.exports import Exports
from scripts.fuzzing.questions import Question, questions
from scripts.fuzzing.words import Words, words_of

MASKED = "Unexpected error"
EXAMPLES_PER_ROUND = 150
EXPORTS_PER_ROUND = 6
FAULTS_MAX = 20
"""After so many different faults there is enough to look at."""

REQUEST_SECONDS_MAX = 60


class Fault(NamedTuple):
    """A question that was answered wrongly.

    Args:
        question: the smallest one that was found.
        because: what is wrong with its answer.
    """

    question: Question
    because: str

    @property
    def text(self) -> str:
        """It, for a person who wants to ask it again."""
        variables = orjson.dumps(
            {name: _escaped(said) for name, said in self.question.variables.items()}
        ).decode()
        return f"{self.because}\n{self.question.text}\nvariables: {variables}"


class Broken(Exception):
    """An answer that must not be."""


class Fuzz:
    """Asks one server.

    Args:
        http: reaches it.
    """

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self.counts: Counter[str] = Counter()
        self.faults: dict[str, Fault] = {}
        self._last: list[Fault] = []

    def run(self, seconds: float, number: int) -> list[Fault]:
        """Ask for a while.

        Args:
            seconds: for about how long.
            number: the seed of all chance.

        Returns:
            One fault for each field of the roots and each thing that was wrong.
        """
        end = time.monotonic() + seconds
        sdl = self._http.get("/schema.graphql").raise_for_status().text
        words = words_of(self._http)
        exports = Exports(self._http, words)
        while time.monotonic() < end and len(self.faults) < FAULTS_MAX:
            self._round(sdl, words, number, end)
            self._export(exports, Random(number), end)
            number += 1
        return list(self.faults.values())

    def _round(self, sdl: str, words: Words, number: int, end: float) -> None:
        @seed(number)
        @settings(
            max_examples=EXAMPLES_PER_ROUND, database=None, deadline=None, print_blob=False,
            phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        )  # fmt: skip
        @given(questions(sdl, words))
        def asks(question: Question) -> None:
            if time.monotonic() < end:
                self._ask(question)

        self._last.clear()
        with suppress(Broken, FlakyFailure):
            asks()
        for smallest in self._last[-1:]:
            self.faults[f"{smallest.question.of}: {smallest.because}"] = smallest

    def _export(self, exports: Exports, random: Random, end: float) -> None:
        for _ in range(EXPORTS_PER_ROUND):
            if time.monotonic() >= end:
                return
            path, said = exports.made_up(random)
            wrong = self._wrong_export(path, said)
            self.counts["exports"] += 1
            if wrong is not None:
                fault = Fault(Question(path, f"GET {path}", dict(said)), wrong)
                self.faults.setdefault(f"{path}: {wrong}", fault)

    def _wrong_export(self, path: str, said: dict[str, str]) -> str | None:
        try:
            answer = self._http.get(path, params=said)
        except httpx.HTTPError as error:
            return f"no answer: {type(error).__name__}"
        self.counts["exported"] += answer.status_code == 200
        return None if answer.status_code == 200 else wrong_with(answer)

    def _ask(self, question: Question) -> None:
        wrong = self._wrong(question)
        if wrong is None or f"{question.of}: {wrong}" in self.faults:
            return
        self._last.append(Fault(question, wrong))
        raise Broken(wrong)

    def _wrong(self, question: Question) -> str | None:
        """What is wrong with the answer to a question; None when nothing is."""
        body = _body(question)
        headers = {"Content-Type": "application/json"}
        try:
            answer = self._http.post("/graphql", content=body, headers=headers)
        except httpx.HTTPError as error:
            return f"no answer: {type(error).__name__}"
        wrong = wrong_with(answer)
        self.counts["asked"] += 1
        self.counts["commands" if question.changes else "questions"] += 1
        self.counts["answered in full"] += wrong is None and b'"errors"' not in answer.content
        return wrong


def wrong_with(answer: httpx.Response) -> str | None:
    """What is wrong with an answer; None when nothing is. A refusal is an answer."""
    try:
        told = answer.json()
    except ValueError:
        return f"status {answer.status_code}, and the answer is not JSON"
    errors = told.get("errors") or []
    if answer.status_code == 500 or (answer.status_code > 500 and not errors):
        return f"status {answer.status_code}"
    if any(error["message"].startswith(MASKED) for error in errors):
        return MASKED
    if not errors and not told.get("data"):
        return "neither data nor errors"
    return None


def _body(question: Question) -> bytes:
    """The request; half of a pair is sent as its escape, which JSON allows."""
    return json.dumps({"query": question.text, "variables": question.variables}).encode()


def _escaped(said: object) -> object:
    return said.encode("unicode-escape").decode() if isinstance(said, str) else said
