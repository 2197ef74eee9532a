"""What a run folder keeps: results in a database, files that appear whole, weights."""
