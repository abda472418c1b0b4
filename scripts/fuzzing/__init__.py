"""The fuzz of the GraphQL door: whatever its schema allows is asked, and nothing may end badly.

questions   what Schemathesis makes of the schema, in fitting words
words       what arguments say: names that the ledger knows, and awkward ones
asking      asked of a server, each answer judged
serving     a server in a process of its own
"""
