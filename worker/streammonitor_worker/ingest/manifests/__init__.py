"""Playlists and manifests: what FFmpeg is given to read in place of what an origin publishes."""
