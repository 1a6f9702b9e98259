"""A grid as data, read from TOML; the built-in suites lie here."""
