"""Records of projects, tasks and notifications: SQLite on one machine, PostgreSQL in a cluster. Only here is SQL used."""
