"""A live HLS origin with defects on a known timetable."""
