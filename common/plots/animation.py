"""Animations of features forming in a two-dimensional hidden space, as GIF frames.

Frames are drawn with matplotlib on one reused canvas (only what moves is updated) and share one
palette, which keeps a file of 90 frames well under a megabyte.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from common.plots.style import LIMIT, array, clean_square, feature_colors

INCHES, DPI = 4.0, 105  # 420 pixels square: legible at 40 % of a page
GREYS = 16  # colours of the palette from black to white
TINTS = 12  # and from a feature's colour to white, for the soft edges of what is drawn in it
NUMBERED = 0.3  # from this norm on a vector carries its feature's number


def forming_features(W, steps, losses, title):
    """Frames (PIL images with one palette) of feature vectors moving as training goes on.

    W      : [frames, 2, n], features as columns.
    steps  : [frames], training step of each frame.
    losses : [frames], loss at each frame; drawn as a curve that fills up below the vectors.
    title  : one line above the drawing.

    Raises ValueError when the three differ in length.
    """
    W, losses = array(W), array(losses)
    if not len(W) == len(steps) == len(losses):
        raise ValueError(
            f"W, steps and losses differ in length: {len(W)}, {len(steps)}, {len(losses)}"
        )
    fig = plt.Figure(figsize=(INCHES, INCHES), dpi=DPI, layout="none")
    canvas = FigureCanvasAgg(fig)
    update = _scene(fig, W, np.asarray(steps), losses, title)
    pictures = []
    for frame in range(len(W)):
        update(frame)
        canvas.draw()
        pictures.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"))
    palette = _palette(W.shape[2])
    # Without dithering flat areas stay flat, which is what GIF compresses well.
    return [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]


def _palette(n_features):
    """An image whose palette holds greys and, of every feature's colour, tints down to white.

    Made from the colours that are drawn with, not from a frame: features that end on top of each
    other at the origin are not all seen there.
    """
    tints = max(1, min(TINTS, 112 // n_features))  # 128 colours with the greys
    shares = np.arange(1, tints + 1)[:, None, None] / tints
    colors = 1 - shares * (1 - feature_colors(n_features)[:, :3])  # [tints, n, 3]
    greys = np.repeat(np.linspace(0, 1, GREYS)[:, None], 3, axis=1)
    colors = np.concatenate([greys, colors.reshape(-1, 3)])
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.rint(255 * colors).astype(np.uint8).tobytes())
    return palette


def _scene(fig, W, steps, losses, title):
    """Everything drawn once; returns the function that moves it to a frame."""
    fig.text(0.5, 0.945, title, ha="center", va="center", fontsize=15)
    step_text = fig.text(0.05, 0.205, "", fontsize=12, color="0.25")
    loss_text = fig.text(0.95, 0.205, "", fontsize=12, color="0.25", ha="right")
    move_vectors = _vectors(fig.add_axes([0.02, 0.2, 0.96, 0.7]), W)
    move_curve = _curve(fig.add_axes([0.05, 0.04, 0.9, 0.13]), losses)

    def update(frame):
        step_text.set_text(f"step {steps[frame]:,}")
        loss_text.set_text(f"loss {losses[frame]:.4f}")
        move_vectors(frame)
        move_curve(frame)

    return update


def _vectors(ax, W):
    """The circle of norm 1 and the numbered vectors; returns the function that moves them."""
    ax.add_patch(plt.Circle((0, 0), 1, fill=False, color="0.8", lw=1))
    clean_square(ax, LIMIT)
    drawn = {"lw": 4, "ms": 8, "markevery": [1], "solid_capstyle": "round"}
    written = {"fontsize": 14, "weight": "bold", "ha": "center", "va": "center_baseline"}
    colors = feature_colors(W.shape[2])
    vectors = [ax.plot([], [], "-o", color=color, **drawn)[0] for color in colors]
    numbers = [ax.text(0, 0, i + 1, color=color, **written) for i, color in enumerate(colors)]

    def move(frame):
        for (x, y), vector, number in zip(W[frame].T, vectors, numbers, strict=True):
            norm = np.hypot(x, y)
            vector.set_data([0, x], [0, y])
            number.set_visible(norm > NUMBERED)  # numbers of shorter ones would lie in a heap
            beyond = 1 + 0.17 / max(norm, NUMBERED)
            number.set_position((beyond * x, beyond * y))

    return move


def _curve(ax, losses):
    """The loss as a grey curve; returns the function that fills it up to a frame."""
    frames = np.arange(len(losses))
    ax.set(xlim=(0, len(losses) - 1), yscale="log")
    ax.set_ylim(losses.min() * 0.93, losses.max() * 1.08)
    ax.set_axis_off()
    ax.plot(frames, losses, color="0.88", lw=2)
    (curve,) = ax.plot([], [], color="0.25", lw=2)
    (dot,) = ax.plot([], [], "o", color="0.25", ms=6, clip_on=False)

    def move(frame):
        curve.set_data(frames[: frame + 1], losses[: frame + 1])
        dot.set_data([frame], [losses[frame]])

    return move
