"""Helpers that every notebook of this collection shares."""
