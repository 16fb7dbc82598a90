"""Other models and other data: polygons, hidden ReLUs, deeper models, words."""
