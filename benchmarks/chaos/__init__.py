"""What faults may not do: a server and its workers, real processes, broken at random."""
