"""Projects and tasks as records in SQL: SQLite on one machine, PostgreSQL in a cluster. The only package that speaks SQL."""
