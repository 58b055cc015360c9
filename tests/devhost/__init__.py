"""Tests of the local Functions host: its rules as plain functions, and the host itself against the emulator."""
