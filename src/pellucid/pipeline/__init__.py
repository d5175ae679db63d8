"""Steps, graphs, keys, runs and their record. May import `store` and `data`, nothing above."""
