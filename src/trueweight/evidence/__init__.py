"""Measured facts: the record, its statuses, the ledger of looks at test rows, and meters."""
