"""The proof of isolation: many ask while history is brought in and the read models are made anew.

Law: every answer is equal to the fold of the log at the basis that the answer states. Pages of one
walk show each row exactly once, all at the basis of the first, however much is recorded meanwhile.

    asking     clients that page, aggregate and export
    truth      the same from the log alone, in this process
    importing  a process that brings a story in, spread over some time
    rounds     a ledger, a server, an import and rebuilds, many clients, the comparison
"""
