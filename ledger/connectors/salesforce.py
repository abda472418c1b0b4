"""Salesforce exports: files are found by their columns.

Law: a file is what its columns make it, whatever its name. Names of columns are compared without
case, blanks and punctuation: `OpportunityId`, `opportunity_id` and `Opp ID` are one. What is
found becomes a mapping, and from there on nothing is particular to Salesforce. Files that are
nothing we know are listed in the report as ignored.
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from pathlib import Path

from ledger.connectors.importer import run_import
from ledger.connectors.mapping import FIELDS, FileMap, Kind, Mapping, load_stages
from ledger.connectors.report import Report
from ledger.connectors.rows import Table, open_table
from ledger.connectors.stages import plain
from ledger.connectors.writing import NO_OPTIONS, ImportOptions, Progress, Target, no_progress
from ledger.domain.errors import InvalidInput

FILES_MAX = 500
_ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz")

_DEAL_ID = ("opportunityid", "oppid", "opportunityid18")
_STAGE = ("stagename", "stage")
_CHANGED = ("changeddate", "changedat", "fivetranstart", "createddate", "createdat",
            "systemmodstamp")  # fmt: skip
_CURRENCY = ("currencyisocode", "currency")
_HISTORY_ONLY = ("historyid", "changeddate", "changedat", "fivetranstart", "newvalue")

_DEAL_STATE = {
    "stage": _STAGE,
    "category": ("forecastcategoryname", "forecastcategory"),
    "probability": ("probability",),
    "amount": ("amount", "amountusd", "amounteur", "amountgbp"),
    "currency": _CURRENCY,
    "close_date": ("closedate",),
    "is_deleted": ("isdeleted",),
}
COLUMNS: dict[Kind, Dict[str, Sequence[str]]] = {
    "field_history": {
        "id": ("historyid", "id"),
        "deal": _DEAL_ID,
        "at": ("createddate", "createdat", "changeddate", "changedat"),
        "field": ("field",),
        "old_value": ("oldvalue",),
        "new_value": ("newvalue",),
        "changed_by": ("createdbyid", "createdby", "changedby"),
    },
    "deals": {
        **_DEAL_STATE,
        "id": ("id", *_DEAL_ID),
        "name": ("name", "opportunityname"),
        "account": ("accountid", "account", "accountname"),
        "owner": ("ownerid", "owner"),
        "opened": ("createddate", "createdat"),
        "modified": ("systemmodstamp", "lastmodifieddate"),
        "is_closed": ("isclosed",),
        "is_won": ("iswon",),
        "loss_reason": ("lossreason", "lossreasonc", "closedlostreason", "reasonlost"),
        "economic_buyer": ("economicbuyercontactid", "economicbuyerc", "economicbuyer"),
        "champion": ("championcontactid", "championc", "champion"),
    },
    "history": {
        **_DEAL_STATE,
        "id": ("historyid", "id"),
        "deal": _DEAL_ID,
        "at": _CHANGED,
        "changed_by": ("changedby", "createdbyid", "createdby", "lastmodifiedbyid"),
    },
    "people": {
        "id": ("userid", "id"),
        "name": ("name", "fullname"),
        "first_name": ("firstname",),
        "last_name": ("lastname",),
        "email": ("email",),
        "role": ("role", "title", "userrole", "userrolename"),
        "manager": ("managerid", "manager"),
        "team": ("team", "teamname", "salesregion", "region", "division", "department"),
        "joined": ("startdate", "hiredate", "createddate"),
    },
    "contacts": {
        "id": ("contactid", "id"),
        "name": ("name", "fullname"),
        "first_name": ("firstname",),
        "last_name": ("lastname",),
        "email": ("email",),
        "title": ("title", "jobtitle"),
    },
    "accounts": {
        "id": ("accountid", "id"),
        "name": ("accountname", "name"),
        "parent": ("parentid",),
        "opened": ("createddate", "createdat"),
    },
}
"""Kind -> field -> the columns it may stand in, the first that is there."""

_DIMENSIONS: dict[Kind, Dict[str, Sequence[str]]] = {
    "deals": {
        "type": ("type", "opportunitytype"),
        "lead_source": ("leadsource",),
        "segment": ("segment", "segmentc"),
        "region": ("region", "regionc", "salesregion"),
        "competitor": ("primarycompetitor", "competitor", "maincompetitorsc"),
        "campaign": ("campaignid", "primarycampaignid"),
        "record_type": ("recordtypeid",),
    },
    "accounts": {
        "industry": ("industry",),
        "segment": ("segment", "segmentc"),
        "region": ("region", "salesregion"),
        "country": ("country", "billingcountry"),
        "type": ("type", "accounttype"),
    },
}


def import_salesforce(
    ledger: Target,
    directory: Path,
    options: ImportOptions = NO_OPTIONS,
    progress: Progress = no_progress,
    stages: Path | None = None,
) -> Report:
    """Bring in a folder of Salesforce exports.

    Args:
        ledger: the ledger to write to.
        directory: a folder with `Opportunity`, and histories, users, accounts and contacts where
            there are some, as CSV files of any name.
        options: what the user says.
        progress: see `Progress`.
        stages: a file that tells what stages mean; what it leaves open, names and records tell.

    Raises:
        InvalidInput: `missing-folder`, `no-opportunities`, `invalid-mapping`, `ambiguous-dates`,
            `no-snapshot`, `unknown-criterion`, `no-playbook`, `rows-rejected` (strict), and others
            that name their place.
    """
    told = {} if stages is None else load_stages(stages)
    plan, ignored = recognise(directory, options.encoding)
    if not any(entry.kind in ("deals", "history", "field_history") for _, entry in plan):
        raise InvalidInput(
            "no-opportunities",
            f"no file in {directory} has the columns of opportunities or their history",
            hint="an opportunity file needs at least Id, Name and StageName; for other exports use "
            "`qledger import csv --mapping`",
        )
    mapping = Mapping(
        system=options.system or "salesforce", files=tuple(e for _, e in plan), stages=told
    )
    report = run_import(ledger, mapping, plan, options, progress, learns=True)
    report.ignored_files += ignored
    return report


def recognise(
    directory: Path, encoding: str | None = None
) -> tuple[list[tuple[Table, FileMap]], list[str]]:
    """The files of a folder that can be brought in, and the names of the others.

    Raises:
        InvalidInput: `missing-folder`, `too-many-files`, or what a file's header is refused for.
    """
    if not directory.is_dir():
        raise InvalidInput("missing-folder", f"there is no folder {directory}")
    paths = sorted(p for p in directory.iterdir() if p.is_file())
    if len(paths) > FILES_MAX:
        raise InvalidInput("too-many-files", f"{directory} holds more than {FILES_MAX} files")
    plan: list[tuple[Table, FileMap]] = []
    ignored: list[str] = []
    for path in paths:
        if not path.name.lower().endswith(_ENDINGS):
            continue
        try:
            table = open_table(path, encoding)
        except InvalidInput as error:
            if error.code not in ("empty-file", "duplicate-column"):
                raise
            ignored.append(f"{path.name} ({error.message})")
            continue
        entry = entry_for(table.columns)
        if entry is None:
            ignored.append(path.name)
        else:
            plan.append((table, entry))
    order = {"deals": 0, "history": 1, "field_history": 2}
    plan.sort(key=lambda item: (order.get(item[1].kind, 3), item[0].name))
    return plan, ignored


def entry_for(columns: Sequence[str]) -> FileMap | None:
    """How a file with these columns is read; none when it is nothing we know."""
    kind = kind_of({plain(column) for column in columns})
    if kind is None:
        return None
    spelt: dict[str, str] = {}
    for column in columns:
        spelt.setdefault(plain(column), column)
    fields = _found(COLUMNS[kind], spelt)
    if kind == "history" and "deal" not in fields:
        fields["deal"] = fields.pop("id")
    if kind == "history" and fields.get("id") == fields["deal"]:
        del fields["id"]
    dimensions = _found(_DIMENSIONS.get(kind, {}), spelt)
    taken = set(fields.values())
    return FileMap(
        kind=kind,
        columns={name: column for name, column in fields.items() if name in _allowed(kind)},
        dimensions={key: column for key, column in dimensions.items() if column not in taken},
    )


def kind_of(names: set[str]) -> Kind | None:
    """What a file is, by its columns in plain letters; none when it is nothing we know."""

    def has(*choice: str) -> bool:
        return any(name in names for name in choice)

    if has(*_DEAL_ID) and has("field") and has("newvalue"):
        return "field_history"
    if has(*_STAGE):
        is_history = has(*_HISTORY_ONLY) or not has("name", "opportunityname")
        if not is_history and has("id", *_DEAL_ID):
            return "deals"
        owner = has(*_DEAL_ID) or (has("id") and has("fivetranstart"))
        return "history" if owner and has(*_CHANGED) else None
    if has("userid") or (has("id") and has("username", "alias", "profileid", "userroleid")):
        return "people" if has("name", "fullname", "lastname") else None
    if has("contactid") or (has("id") and has("accountid") and has("lastname") and has("email")):
        is_link = has(*_DEAL_ID, "activityid", "leadid")
        return "contacts" if not is_link and has("name", "fullname", "lastname") else None
    company = has("industry", "annualrevenue", "numberofemployees", "billingcountry", "billingcity")
    is_account = has("accountid") and has("accountname")
    if is_account or (has("id") and has("name") and company and not has("company", "status")):
        return None if has("company", "leadid", *_DEAL_ID) else "accounts"
    return None


def _found(wanted: Dict[str, Sequence[str]], spelt: Dict[str, str]) -> dict[str, str]:
    found = {}
    for name, choices in wanted.items():
        column = next((spelt[choice] for choice in choices if choice in spelt), None)
        if column is not None:
            found[name] = column
    return found


def _allowed(kind: Kind) -> set[str]:
    needed, optional = FIELDS[kind]
    return needed | optional
