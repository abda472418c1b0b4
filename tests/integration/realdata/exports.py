"""How the oracle reads each public export. Formats and meaning are stated column by column.

Amounts, dates and stages are read from text here, without a guess of DuckDB's.
"""

from __future__ import annotations

from pathlib import Path

from .oracle import Oracle


def preppin(folder: Path) -> Oracle:
    """Days are dd/mm/yyyy. The history tracks stages alone; categories follow from them."""
    oracle = Oracle()
    oracle.load(
        """
        INSERT INTO record
            SELECT Id, strptime(CreatedDate, '%d/%m/%Y'), OwnerId, StageName,
                Amount::DECIMAL(18, 2), strptime(CloseDate, '%d/%m/%Y')::DATE,
                CASE WHEN (IsClosed = 'TRUE') = (outcome_of(StageName, NULL) <> 'open')
                     THEN category_of(ForecastCategoryName) END, NULL
            FROM opportunity WHERE IsDeleted = 'FALSE';
        INSERT INTO history
            SELECT OppID, n, strptime(CreatedDate, '%d/%m/%Y'), StageName, NULL, NULL, NULL
            FROM changes;
        INSERT INTO snapshot SELECT max(changed) FROM (
            SELECT changed FROM history UNION ALL SELECT opened FROM record
            UNION ALL SELECT strptime(LastModifiedDate, '%d/%m/%Y %H:%M') FROM opportunity
            UNION ALL SELECT strptime(SystemModstamp, '%d/%m/%Y %H:%M') FROM opportunity);
        """,
        opportunity=folder / "Opportunity.csv",
        changes=folder / "Opportunity History.csv",
    )
    oracle.settle(["stage", "category"])
    return oracle


def revops(folder: Path) -> Oracle:
    """Days are ISO. The history tracks stage, amount and close date; stages tell categories."""
    oracle = Oracle()
    oracle.load(
        """
        INSERT INTO record
            SELECT opportunity_id, created_date::TIMESTAMP, owner_id, stage,
                amount_usd::DECIMAL(18, 2), close_date::DATE, category_of(forecast_category),
                loss_reason
            FROM opportunity;
        INSERT INTO history
            SELECT opportunity_id, n, changed_date::TIMESTAMP, stage, amount_usd::DECIMAL(18, 2),
                close_date::DATE, NULL
            FROM changes;
        INSERT INTO snapshot SELECT max(changed) FROM (
            SELECT changed FROM history UNION ALL SELECT opened FROM record);
        """,
        opportunity=folder / "opportunities.csv",
        changes=folder / "opportunity_history.csv",
    )
    oracle.settle(["stage", "amount", "close_date", "category"])
    return oracle


def devorg(folder: Path) -> Oracle:
    """Days are mm/dd/yy, instants have a 12-hour clock. The history tracks all; no owners."""
    oracle = Oracle()
    oracle.load(
        """
        CREATE MACRO moment(text) AS strptime(text, '%m/%d/%y %I:%M %p');
        INSERT INTO record
            SELECT Id, strptime(CreatedDate, '%m/%d/%y'), NULL, StageName, Amount::DECIMAL(18, 2),
                strptime(CloseDate, '%m/%d/%y')::DATE, NULL, NULL
            FROM opportunity;
        INSERT INTO history
            SELECT OpportunityId, n, moment(CreatedDate), StageName, Amount::DECIMAL(18, 2),
                strptime(CloseDate, '%m/%d/%y')::DATE, category_of(ForecastCategory)
            FROM changes WHERE IsDeleted = 'FALSE';
        INSERT INTO snapshot SELECT max(changed) FROM (
            SELECT changed FROM history UNION ALL SELECT moment(SystemModstamp) FROM changes
            UNION ALL SELECT moment(LastModifiedDate) FROM opportunity);
        """,
        opportunity=folder / "Opportunity.csv",
        changes=folder / "OpportunityHistory.csv",
    )
    oracle.settle(["stage", "amount", "close_date", "category"])
    return oracle


def maven(folder: Path) -> Oracle:
    """One row a deal: opened at its engagement, ended at its close with the value known then."""
    oracle = Oracle()
    oracle.load(
        """
        INSERT INTO snapshot SELECT max(changed)::TIMESTAMP FROM (
            SELECT engage_date AS changed FROM pipeline UNION ALL SELECT close_date FROM pipeline);
        INSERT INTO deal
            SELECT opportunity_id, coalesce(engage_date::TIMESTAMP, changed)
            FROM pipeline, snapshot;
        INSERT INTO claim
            SELECT opportunity_id, 'owner', sales_agent, opened, n
            FROM pipeline JOIN deal ON deal = opportunity_id;
        INSERT INTO claim
            SELECT opportunity_id, 'stage',
                CASE WHEN engage_date IS NULL THEN deal_stage ELSE 'Engaging' END, opened, n
            FROM pipeline JOIN deal ON deal = opportunity_id;
        INSERT INTO claim
            SELECT opportunity_id, field, value, close_date::TIMESTAMP, n FROM (
                SELECT opportunity_id, n, close_date,
                    close_value::DECIMAL(18, 2)::VARCHAR AS amount, deal_stage AS stage,
                    close_date AS day
                FROM pipeline WHERE deal_stage IN ('Won', 'Lost'))
            UNPIVOT (value FOR field IN (amount, stage, day AS close_date));
        INSERT INTO ending
            SELECT opportunity_id, lower(deal_stage), close_date::TIMESTAMP,
                close_date::TIMESTAMP, n
            FROM pipeline WHERE deal_stage IN ('Won', 'Lost');
        """,
        pipeline=folder / "sales_pipeline.csv",
    )
    return oracle


def bpic2012(folder: Path) -> Oracle:
    """A log of events: a case is a deal, opened when registered with the amount asked for.

    Its A_ and O_ rows are stages, in the order of time and file; W_ rows are not. What an offer
    does after the end reopens nothing. Instants have an offset and milliseconds.
    """
    oracle = Oracle()
    oracle.load(
        """
        CREATE MACRO moment(text) AS make_timestamp(epoch_us(text::TIMESTAMPTZ));
        CREATE TABLE meaning (stage VARCHAR, outcome VARCHAR, category VARCHAR);
        INSERT INTO meaning VALUES
            ('A_SUBMITTED', 'open', 'omitted'), ('A_PARTLYSUBMITTED', 'open', 'omitted'),
            ('A_PREACCEPTED', 'open', 'pipeline'), ('A_ACCEPTED', 'open', 'pipeline'),
            ('A_FINALIZED', 'open', 'best_case'), ('A_REGISTERED', 'won', 'closed'),
            ('A_APPROVED', 'won', 'closed'), ('A_ACTIVATED', 'won', 'closed'),
            ('A_DECLINED', 'lost', 'omitted'), ('A_CANCELLED', 'abandoned', 'omitted'),
            ('O_SELECTED', NULL, 'best_case'), ('O_CREATED', NULL, 'best_case'),
            ('O_SENT', NULL, 'best_case'), ('O_SENT_BACK', NULL, 'commit'),
            ('O_ACCEPTED', NULL, 'commit'), ('O_CANCELLED', NULL, 'pipeline'),
            ('O_DECLINED', NULL, 'pipeline');
        CREATE TABLE step AS
            SELECT "case:concept:name" AS deal, n, moment("time:timestamp") AS changed, stage,
                outcome, category
            FROM events JOIN meaning ON stage = "concept:name";
        INSERT INTO snapshot SELECT max(moment("time:timestamp")) FROM events;
        INSERT INTO deal
            SELECT "case:concept:name", min(moment("case:REG_DATE")) FROM events GROUP BY 1;
        INSERT INTO claim
            SELECT deal, 'amount', min("case:AMOUNT_REQ"::DECIMAL(18, 2))::VARCHAR, opened, -1
            FROM deal JOIN events ON "case:concept:name" = deal GROUP BY ALL;
        INSERT INTO claim SELECT deal, field, value, changed, n FROM step
            UNPIVOT (value FOR field IN (stage, category));
        INSERT INTO ending SELECT deal, outcome, changed, changed, n FROM (
            SELECT * FROM step WHERE outcome IS NOT NULL
            QUALIFY outcome <>
                lag(outcome, 1, 'open') OVER (PARTITION BY deal ORDER BY changed, n));
        """,
        events=folder / "bpic2012_2011q4.csv.gz",
    )
    return oracle
