"""Models made by hand, five features in two dimensions: a pentagon, two antipodal pairs beside a
dropped feature, and two orthogonal features alone."""

import torch

from common import geometry

PENTAGON = geometry.regular_polygon(5, 1.1)
PAIRS = torch.tensor([[1.0, -1, 0, 0, 0], [0, 0, 1, -1, 0]], dtype=torch.float64)
TWO = torch.tensor([[1.0, 0, 0, 0, 0], [0, 1, 0, 0, 0]], dtype=torch.float64)
