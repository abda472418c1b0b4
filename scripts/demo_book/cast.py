"""The sellers, the accounts and the names at the buyers."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import product

MONTHS = 18
DEALS = 400
ACCOUNTS = 230


class Habit(StrEnum):
    """How a seller's claims relate to what the buyer did."""

    STEADY = "steady"
    OPTIMIST = "optimist"
    INFLATOR = "inflator"
    SANDBAGGER = "sandbagger"


@dataclass(frozen=True, slots=True)
class Team:
    name: str
    currency: str
    manager: str
    haircut_percent: int
    """The manager's habit: how much of every call is cut."""
    debriefs: float
    """The share of deals that the manager takes apart with the seller."""


@dataclass(frozen=True, slots=True)
class Person:
    id: str
    name: str
    title: str
    team: str
    manager: str | None
    habit: Habit = Habit.STEADY


@dataclass(frozen=True, slots=True)
class Account:
    id: str
    name: str
    team: str
    segment: str
    industry: str
    country: str
    employees: int
    opened_on: date


def salesforce_id(prefix: str, number: int) -> str:
    """An id of Salesforce's shape: 18 characters, the first three naming the kind."""
    return f"{prefix}QL{number:010d}AAA"


DIRECTOR = Person(salesforce_id("005", 1), "Renske Aldertoft", "Sales Director", "Direction", None)
TEAMS = {
    team.name: team
    for team in (
        Team("North America", "USD", salesforce_id("005", 2), 50, 0.45),
        Team("UK & Ireland", "GBP", salesforce_id("005", 3), 15, 0.80),
        Team("Continental Europe", "EUR", salesforce_id("005", 4), 5, 0.60),
    )
}
_MANAGERS = ("Delphine Okoro", "Callum Trevithick", "Mathis Feldkamp")
_REPS = (
    ("Priya Raman", "North America", Habit.STEADY),
    ("Tobias Lindqvist", "North America", Habit.INFLATOR),
    ("Marisol Etxeberria", "North America", Habit.OPTIMIST),
    ("Jamal Whitcombe", "North America", Habit.SANDBAGGER),
    ("Aoife Brannigan", "UK & Ireland", Habit.STEADY),
    ("Rhys Penhallow", "UK & Ireland", Habit.OPTIMIST),
    ("Saoirse Kinsella", "UK & Ireland", Habit.INFLATOR),
    ("Gregor Macquarrie", "UK & Ireland", Habit.STEADY),
    ("Anneliese Brandtner", "Continental Europe", Habit.STEADY),
    ("Luca Ferrandini", "Continental Europe", Habit.OPTIMIST),
    ("Joost Verhagen", "Continental Europe", Habit.SANDBAGGER),
    ("Camille Desrosiers", "Continental Europe", Habit.INFLATOR),
)

MANAGERS = tuple(
    Person(team.manager, name, "Sales Manager", team.name, DIRECTOR.id)
    for team, name in zip(TEAMS.values(), _MANAGERS, strict=True)
)
REPS = tuple(
    Person(salesforce_id("005", 11 + at), name, "Account Executive", team, TEAMS[team].manager, how)
    for at, (name, team, how) in enumerate(_REPS)
)
PEOPLE = (DIRECTOR, *MANAGERS, *REPS)
PERSON = {person.id: person for person in PEOPLE}

LEAVER = REPS[6]
"""Leaves some months before the anchor; the open deals go to the others of the team."""
MOVER = REPS[7]
"""Moves to another team in the middle of the book."""
MOVED_TO = TEAMS["Continental Europe"]


@dataclass(frozen=True, slots=True)
class Calendar:
    """The days that the book turns on, all counted back from the anchor."""

    anchor: date

    @property
    def start(self) -> date:
        months = self.anchor.year * 12 + self.anchor.month - 1 - MONTHS
        return date(months // 12, months % 12 + 1, 1)

    @property
    def end(self) -> datetime:
        """The first instant that is not in the book any more."""
        return datetime.combine(self.anchor, time.min, tzinfo=UTC)

    @property
    def leaver_left_on(self) -> date:
        return weekday(self.anchor - timedelta(days=114))

    @property
    def mover_moves_on(self) -> date:
        return quarter_start(self.anchor - timedelta(days=210))

    def months(self) -> list[date]:
        """The first day of every month from the start to the anchor."""
        first = self.start.year * 12 + self.start.month - 1
        return [date(at // 12, at % 12 + 1, 1) for at in range(first, first + MONTHS + 1)]

    def quarters(self) -> list[date]:
        """The first day of every quarter that the book touches."""
        return sorted({quarter_start(day) for day in self.months() if day < self.anchor})


def quarter_start(day: date) -> date:
    return date(day.year, (day.month - 1) // 3 * 3 + 1, 1)


def quarter_end(day: date) -> date:
    first = quarter_start(day)
    return quarter_start(first + timedelta(days=100)) - timedelta(days=1)


def quarter_name(day: date) -> str:
    return f"{day.year:04d}-Q{(day.month - 1) // 3 + 1}"


def weekday(day: date) -> date:
    """The day itself, or the Friday before a weekend."""
    return day - timedelta(days=max(0, day.weekday() - 4))


def working_time(rng: random.Random, day: date) -> datetime:
    """Some second of that day's office hours, UTC."""
    second = rng.randrange(8 * 3600, 17 * 3600)
    return datetime.combine(day, time.min, tzinfo=UTC) + timedelta(seconds=second)


# --- accounts ------------------------------------------------------------------------------------

_PLACES = {
    "North America": ("United States", "United States", "Canada"),
    "UK & Ireland": ("United Kingdom", "United Kingdom", "Ireland"),
    "Continental Europe": ("Germany", "France", "Netherlands", "Spain", "Austria"),
}
_FIRST = {
    "North America": (
        "Ridgeline", "Copperfield", "Palisade", "Bluestem", "Tamarack", "Kestrel Bay", "Juniper",
        "Sawtooth", "Meridian Oaks", "Driftwood", "Cobalt", "Wapiti", "Lakeshore", "Ironwood",
        "Prairie Star", "Talus", "Granite Falls", "Redbud", "Osprey", "Silver Birch",
    ),
    "UK & Ireland": (
        "Thornbury", "Kilbride", "Wexcombe", "Harrowgate", "Penmorrow", "Ashdown", "Glenmoyle",
        "Barrowby", "Lanyon", "Carrick", "Whitmoor", "Severnside", "Oakhampton", "Dunloe",
        "Marlock", "Fairholme", "Tyndale", "Strathmore Vale", "Bexcroft", "Inverlea",
    ),
    "Continental Europe": (
        "Rheinfels", "Maasbrug", "Lindenhof", "Belcourt", "Valdoro", "Nordhafen", "Castellane",
        "Steinbach", "Oosterwolde", "Montclair", "Eisvogel", "Riberalta", "Hohenfeld", "Clairvaux",
        "Zuiderlicht", "Alpenrose", "Grünwald", "Beaulieu-sur-Orne", "Torreblanca", "Weißkirchen",
    ),
}  # fmt: skip
_SECOND = {
    "North America": ("Freight, Inc.", "Foods", "Logistics LLC", "Medical Supply", "Energy Corp."),
    "UK & Ireland": ("Foods plc", "Haulage Ltd", "& Sons, Ltd", "Pharma Ltd", "Retail Group"),
    "Continental Europe": ("Spedition GmbH", "Voeding B.V.", "Santé S.A.", "Handel AG", "Energía"),
}
_ODD_NAMES = (
    'O\'Rourke, Bell & Hart "OBH"',
    'Hallmark "Nordic" Provisions, Inc.',
    "Fischer, Vogel & Partner mbB",
    'The "Quayside" Company',
    "D'Amico, Fratelli S.r.l.",
)
_INDUSTRIES = ("Logistics", "Food & Beverage", "Healthcare", "Retail", "Energy", "Manufacturing")
_SEGMENTS = {"SMB": (20, 200), "Mid-Market": (200, 1500), "Enterprise": (1500, 40000)}


def make_accounts(seed: int, calendar: Calendar) -> list[Account]:
    """All accounts: shared out evenly over the teams, a few with names that trip up readers."""
    rng = random.Random(f"{seed}/accounts")
    names = {
        team: [f"{first} {second}" for first, second in product(_FIRST[team], _SECOND[team])]
        for team in TEAMS
    }
    for pool in names.values():
        rng.shuffle(pool)
    accounts = []
    for number in range(ACCOUNTS):
        team = list(TEAMS)[number % len(TEAMS)]
        segment = rng.choices(list(_SEGMENTS), weights=(35, 40, 25))[0]
        odd = number % 46 == 5
        accounts.append(
            Account(
                id=salesforce_id("001", number + 1),
                name=_ODD_NAMES[number // 46] if odd else names[team].pop(),
                team=team,
                segment=segment,
                industry=rng.choice(_INDUSTRIES),
                country=rng.choice(_PLACES[team]),
                employees=rng.randrange(*_SEGMENTS[segment]),
                opened_on=weekday(calendar.start - timedelta(days=rng.randrange(5, 900))),
            )
        )
    return accounts


# --- the people at the buyers ---------------------------------------------------------------

_GIVEN = {
    "North America": ("Dana", "Marcus", "Leticia", "Owen", "Shanice", "Trent", "Yolanda", "Curtis"),
    "UK & Ireland": ("Imogen", "Declan", "Harriet", "Nigel", "Orla", "Rupert", "Siobhan", "Ewan"),
    "Continental Europe": (
        "Katrin", "Pieter", "Amélie", "Jürgen", "Noor", "Etienne", "Lucía", "Stefan",
    ),
}  # fmt: skip
_FAMILY = {
    "North America": ("Castellanos", "Boykin", "Hargrove", "Nakagawa", "Prescott", "Villareal"),
    "UK & Ireland": ("Ashworth", "Gallowglass", "Pemberton", "Tolland", "Considine", "Rathbone"),
    "Continental Europe": ("Osterloh", "van Rijswijk", "Lefebvre", "Kronberger", "Iturralde"),
}
TITLES = {
    "economic_buyer": (
        ("Chief Financial Officer", "c_level"), ("Chief Operating Officer", "c_level"),
    ),
    "champion": (("Head of Transport Planning", "director"), ("Operations Manager", "manager")),
    "technical_buyer": (("Enterprise Architect", "manager"), ("IT Director", "director")),
    "procurement": (("Procurement Lead", "manager"), ("General Counsel", "director")),
    "end_user": (("Dispatch Supervisor", "staff"), ("Planner", "staff")),
}  # fmt: skip


def buyer_name(rng: random.Random, team: str) -> str:
    return f"{rng.choice(_GIVEN[team])} {rng.choice(_FAMILY[team])}"
