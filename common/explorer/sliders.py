"""Pictures with sliders: the exact optimum of a small model, and a cursor on a phase diagram.

`draw_...` computes and draws one position. `explore_...` returns that picture and, where somebody
can move them, shows sliders above it. A run by `python -m common.build.execution` (make) keeps the
picture alone: a notebook must be readable where nothing runs.
"""

import gc
import os
from functools import partial
from io import BytesIO

import matplotlib.pyplot as plt
import numpy as np

from common import OUTPUT_VARIABLE, geometry
from common.data import importance_decay
from common.exact import CUBE_FEATURES, minimise
from common.exact.checks import check_count, check_positive
from common.explorer import panels
from common.parallel import one_thread
from common.phases import diagram, plots as phase_plots
from common.plots import style
from common.theory import linear_optimum

LOWEST_DENSITY, LEAST_DECAY = 0.01, 0.5  # ends of the sliders; both go up to 1
STARTS = 48  # of the minimisation for one position
DPI = 110  # of the pictures that follow the sliders


def explore_optimum(density=0.1, decay=0.9, n_features=5, n_hidden=2):
    """The figure of `draw_optimum`; if run live, shown with a slider for every argument."""
    start = {"density": density, "decay": decay}
    start |= {"n_features": n_features, "n_hidden": n_hidden}
    return _explore(draw_optimum, start, optimum_sliders)


def explore_map(optimum, density, relative_importance, start=(1.5, 0.2)):
    """The figure of `draw_cursor`; if run live, shown with sliders that move the cursor.

    start : relative importance and density at which the cursor stands first.
    """
    codes = diagram.phase(optimum.W)  # once, not at every move
    draw = partial(draw_cursor, optimum, codes, density, relative_importance)
    sliders = partial(map_sliders, density, relative_importance)
    return _explore(draw, {"r": start[0], "p": start[1]}, sliders)


@one_thread()  # many small steps; idle threads would only spin
def draw_optimum(density, decay, n_features, n_hidden):
    """The exact optimum of one ReLU model: features, W^T W and b, norms, loss beside the linear.

    density: p; decay: the importance of feature i is decay^(i-1), i from 1; n_features up to 5;
    n_hidden up to n_features. Returns the figure. Raises ValueError for values out of range.
    """
    n, m = check_count(n_features, "n_features"), check_count(n_hidden, "n_hidden")
    if n > CUBE_FEATURES:
        raise ValueError(f"n_features must be at most {CUBE_FEATURES}, got {n}")
    if m > n:
        raise ValueError(f"n_hidden must be at most n_features, {n}, got {m}")
    importance = importance_decay(n, decay)
    best = minimise(n, m, density, importance, restarts=STARTS)
    W, b, loss = panels.oriented(best.W), best.b, best.loss.clamp(min=0)
    linear = linear_optimum(density, importance, m)

    # Placed by hand: a constrained layout would take as long as the optimum.
    widths = (1, 1.25, 0.95, 0.7)
    fig, axes = plt.subplots(1, 4, figsize=(9, 2.7), width_ratios=widths, layout="none")
    fig.subplots_adjust(left=0.02, right=0.985, bottom=0.17, top=0.78, wspace=0.42)
    panels.hidden_space(W, axes[0])
    panels.gram_in_numbers(geometry.gram(W), b, axes[1])
    panels.norms_in_numbers(W, axes[2])
    panels.loss_bars(linear.item(), loss.item(), axes[3])
    fig.suptitle(
        f"n = {n} features, m = {m} dimension{'s' * (m > 1)}, density {density:.3g} "
        f"(sparsity {1 - density:.3g}), importance {decay:.3g}$^{{i-1}}$",
        size=10,
    )
    return fig


@one_thread()
def draw_cursor(optimum, codes, density, relative_importance, r, p):
    """A phase diagram with a cursor, and the exact optimum of the cell under it.

    optimum : Optimum of [R, C] cells for density [R] and relative_importance [C], as
              `diagram.exact_map` makes it; codes [R, C]: its phases, see `diagram.phase`.
    r, p    : relative importance and density of the cursor; the nearest cell is shown.

    Returns the figure. Raises ValueError for a cursor that is not positive.
    """
    cell = nearest(density, p), nearest(relative_importance, r)
    p, r = density[cell[0]].item(), relative_importance[cell[1]].item()
    W, b = panels.oriented(optimum.W[cell]), optimum.b[cell]
    fig, axes = plt.subplots(1, 4, figsize=(9, 2.9), width_ratios=(1.15, 0.8, 0.95, 1.1))
    fig.get_layout_engine().set(w_pad=0.08)
    phase_plots.phase_map(codes, density, relative_importance, axes[0])
    panels.cross_hair(r, p, axes[0])
    panels.hidden_space(W, axes[1])
    panels.gram_in_numbers(geometry.gram(W), b, axes[2])
    rows = _cell_rows(W, b, r, p, optimum.loss[cell].item())
    panels.facts(phase_plots.PHASE_LABELS[codes[cell]], rows, axes[3])
    phase_plots.phase_legend(fig, codes)
    return fig


def _cell_rows(W, b, r, p, loss):
    """What the table beside a phase diagram says of one cell."""
    numbers = panels.two_decimals
    linear = linear_optimum(p, diagram.importances(r, len(b)), len(W)).item()
    norm, shared = diagram.extra_feature(W)
    rows = [("relative importance", [f"{r:.3g}"]), ("density", [f"{p:.3g}"])]
    rows += [("loss", [f"{loss:.3g}"]), ("loss of the best linear model", [f"{linear:.3g}"])]
    rows += [("norm of the extra", numbers([norm])), ("its superposition", numbers([shared]))]
    rows += [("$W$" if k == 0 else "", numbers(w)) for k, w in enumerate(W)]
    return [*rows, ("$b$", numbers(b))]


def nearest(values, value):
    """Position in values [N] (all positive) of the one nearest to `value`, in the logarithm."""
    check_positive(value, "the cursor")
    return int(np.abs(np.log(style.array(values)) - np.log(value)).argmin())


def _explore(draw, start, sliders):
    """The figure draw(**start); if run live, sliders(**start) and the picture are displayed."""
    figure = draw(**start)
    if not os.environ.get(OUTPUT_VARIABLE):
        from IPython.display import display

        plt.close(figure)  # or Jupyter shows it as well
        display(widget(draw, sliders(**start)))
    return figure


def widget(draw, sliders):
    """Sliders {argument of `draw`: slider} above the picture that they redraw."""
    import ipywidgets  # comes with jupyter; a run without sliders does without it

    image = ipywidgets.Image(format="png")

    def redraw(**values):
        # A garbage collection takes as long as everything else: it can wait for the idle time.
        gc.disable()
        try:
            image.value = png(draw(**values))
        finally:
            gc.enable()

    errors = ipywidgets.interactive_output(redraw, sliders)  # draws at once; shows what is raised
    wrapped = ipywidgets.Layout(flex_flow="row wrap")  # on narrow screens
    return ipywidgets.VBox([ipywidgets.HBox(list(sliders.values()), layout=wrapped), image, errors])


def png(figure):
    """A figure as the bytes of a PNG; the figure is closed."""
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=DPI)
    plt.close(figure)
    return picture.getvalue()


def optimum_sliders(density, decay, n_features, n_hidden):
    """The sliders of `draw_optimum`; that of m ends at n."""
    import ipywidgets

    n = ipywidgets.IntSlider(n_features, 2, CUBE_FEATURES, continuous_update=False)
    m = ipywidgets.IntSlider(n_hidden, 1, n_features, continuous_update=False)
    decays = ipywidgets.FloatSlider(decay, min=LEAST_DECAY, max=1, step=0.05)
    decays.continuous_update = False
    n.description, m.description, decays.description = "n", "m", "decay"
    n.observe(lambda change: m.set_trait("max", change["new"]), "value")
    densities = _log_slider(density, (LOWEST_DENSITY, 1), "density")
    return {"density": densities, "decay": decays, "n_features": n, "n_hidden": m}


def map_sliders(density, relative_importance, r, p):
    """The sliders of `draw_cursor`, over the window of the map."""
    return {
        "r": _log_slider(r, relative_importance, "importance"),
        "p": _log_slider(p, density, "density"),
    }


def _log_slider(value, values, description):
    """A slider from the least to the largest of `values`, in equal steps of the logarithm."""
    import ipywidgets

    ends = np.log10(style.array(values))
    return ipywidgets.FloatLogSlider(
        value, min=ends.min(), max=ends.max(), step=0.02, description=description,
        readout_format=".3f", continuous_update=False,
    )  # fmt: skip
