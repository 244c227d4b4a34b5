"""Media with known truth, for tests: clips, foreign servers, and a decoder for the strip."""
