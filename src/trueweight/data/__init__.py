"""From files to batches: sources, tables, cells, cases, splits, the Signature, codecs, blocks and feeds."""
