"""What interactive charts show of a study: one subject a file, each one read of the database."""
