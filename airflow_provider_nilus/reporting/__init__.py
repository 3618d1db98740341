"""What others hear of a run: its return value, assets, lineage, links, metrics."""
