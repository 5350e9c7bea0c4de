"""Estimate what an attempt takes: cores, memory, scratch, core seconds."""
