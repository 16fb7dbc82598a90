"""Figures that notebooks of several topics share, and the style of all."""
