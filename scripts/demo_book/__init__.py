"""A believable book of business, invented: what `scripts/demo` imports.

Law: the same seed and anchor make the same bytes, on every machine. Nothing reads a clock: the book
ends just before the anchor date. All people, companies and quotes are made up.

    cast      the sellers, the accounts and the names at the buyers
    words     what buyers say, criterion by criterion
    life      what really happens to a deal at the buyer
    crm       what the seller makes of it in the CRM: the CSV rows
    desk      where the ledger's own events are collected; people, periods, settings
    evidence  what the deal desk records of each deal: the buyers' words
    calls     what sellers call each week, and what managers make of that
    files     all of it into a folder
"""
