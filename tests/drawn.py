"""What a reader sees of a figure: colours at places of a panel, and where things stand."""

import numpy as np


def cells(ax, rows, columns):
    """Colours [rows, columns, 3] in the middle of equal cells of a panel, from its upper left."""
    ax.figure.canvas.draw()
    box, pixels = ax.get_window_extent(), np.asarray(ax.figure.canvas.buffer_rgba())[..., :3] / 255
    down = pixels.shape[0] - box.y1 + (np.arange(rows) + 0.5) / rows * box.height
    across = box.x0 + (np.arange(columns) + 0.5) / columns * box.width
    return pixels[down.astype(int)[:, None], across.astype(int)]


def is_dark(colors):
    """Which colours [..., 3] are darker than the middle grey."""
    return colors.sum(-1) < 1.5


def place(ax, x, y):
    """Where a point of the data stands in a panel: shares of its width and height."""
    ax.figure.canvas.draw()
    return ax.transAxes.inverted().transform(ax.transData.transform((x, y)))
