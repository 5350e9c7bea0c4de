"""HLS and DASH: segments, playlists, manifests, WebVTT."""
