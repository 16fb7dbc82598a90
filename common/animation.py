"""Animations of features forming in a two-dimensional hidden space, as GIF frames.

Frames are drawn with matplotlib on one reused canvas (only what moves is updated) and share one
palette, which keeps a file of 80 frames well under a megabyte.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from common.plotting import LIMIT, array, clean_square, feature_colors

INCHES, DPI = 4.0, 105  # 420 pixels square: legible at 40 % of a page
COLORS = 64


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
    palette = _palette(pictures[-1])  # the last frame holds every colour
    # Without dithering flat areas stay flat, which is what GIF compresses well.
    return [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]


def _palette(picture):
    """The colours of `picture`, its background kept exactly white."""
    reduced = picture.quantize(COLORS, method=Image.Quantize.MEDIANCUT)
    colors = np.array(reduced.getpalette()).reshape(-1, 3)
    colors[colors.min(1) > 245] = 255
    reduced.putpalette(colors.ravel().tolist())
    return reduced


def _scene(fig, W, steps, losses, title):
    """Everything drawn once; returns the function that moves it to a frame."""
    n = W.shape[2]
    ax = fig.add_axes([0.02, 0.2, 0.96, 0.7])
    ax.add_patch(plt.Circle((0, 0), 1, fill=False, color="0.8", lw=1))
    clean_square(ax, LIMIT)
    fig.text(0.5, 0.945, title, ha="center", va="center", fontsize=15)
    vectors = [
        ax.plot([], [], "-o", color=color, lw=4, ms=8, markevery=[1], solid_capstyle="round")[0]
        for color in feature_colors(n)
    ]
    step_text = fig.text(0.05, 0.205, "", fontsize=12, color="0.25")
    loss_text = fig.text(0.95, 0.205, "", fontsize=12, color="0.25", ha="right")

    strip = fig.add_axes([0.05, 0.04, 0.9, 0.13])
    strip.set(xlim=(0, len(W) - 1), yscale="log")
    strip.xaxis.set_visible(False)
    strip.yaxis.set_visible(False)
    strip.set_ylim(losses.min() * 0.93, losses.max() * 1.08)
    strip.spines[:].set_visible(False)
    strip.plot(np.arange(len(W)), losses, color="0.88", lw=2)
    (curve,) = strip.plot([], [], color="0.25", lw=2)
    (dot,) = strip.plot([], [], "o", color="0.25", ms=6, clip_on=False)

    def update(frame):
        for i, vector in enumerate(vectors):
            vector.set_data([0, W[frame, 0, i]], [0, W[frame, 1, i]])
        step_text.set_text(f"step {steps[frame]:,}")
        loss_text.set_text(f"loss {losses[frame]:.4f}")
        curve.set_data(np.arange(frame + 1), losses[: frame + 1])
        dot.set_data([frame], [losses[frame]])

    return update
