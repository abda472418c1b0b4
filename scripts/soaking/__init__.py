"""The soak of the read models: histories go on while whoever projects them is killed.

Law: whatever dies when, the live tables are the tables rebuilt from the log, and both say what
folding the log says, at any basis. After each round all of it is compared.

    stories   random histories, the same for the same seed: late, corrected, back-dated, announced
    teller    a process that records a story, piece by piece
    sources   the demo book, the public data sets and stories: what is brought in meanwhile
    compare   what the tables keep, against the fold from scratch
    asking    the same questions, asked of the tables and of the log
    house     a ledger, the processes at work on it, and what is done to them
    rounds    the rounds, and what is printed of them
"""
