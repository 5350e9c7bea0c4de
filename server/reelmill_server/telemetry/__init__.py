"""Logs, metrics, traces, and the HTTP pages for health and readiness."""
