"""What a study leaves for people and programs: tables, results.json, pictures."""
