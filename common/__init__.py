"""What the notebooks share: a small core, and a folder for each topic.

The core
    parallel                    work spread over cores, threads and processes
    geometry                    norms, superposition, interference, dimensionality, angles; what
                                counts as represented
    data                        SparseFeatures: the inputs of every model
    model                       ToyModel: a stack of small autoencoders, tied or not, ReLU or linear
    training                    the training loop and its recipes
    restarts                    many runs at several densities, and the choice between them
    theory                      closed forms: linear optimum, the paper's candidates, boundaries
    parameters                  those of a notebook: their ranges, and whether they were changed
    tex                         numbers and claims as LaTeX; where a claim comes from
    artifacts                   what a notebook leaves behind: figures, numbers, claims and the
                                rule of their verdicts

Training steps
    steps.compiled              inputs drawn, gradients by hand and AdamW, compiled
    steps.block                 instances of a stack, packed for these

The exact loss
    exact.loss                  population_loss, without sampling, differentiable
    exact.cube                  few features: a recursion over sets of active features
    exact.series                any number of features: a Fourier series of the kink
    exact.harmonics             its sum over harmonics with its gradient, compiled
    exact.atoms                 its part with at most one active feature, in closed form
    exact.linear                linear outputs: means and variances
    exact.checks                arguments checked, with errors that name the bad value
    exact.minima                minimise: every cell of a grid; polish: from a given model
    exact.branches              where the optimum changes with the density, and whether it jumps
    exact.compiled              the loss of few features with its gradient, compiled
    exact.forwards              its steps from pair to pair
    exact.backwards             the same taken backwards
    exact.jit                   numba, with a cache that notices changes in other files
    exact.bfgs                  quasi-Newton minimisation of many small problems at once
    exact.problem               a grid of minimisation problems: scales, starts, neighbours
    exact.truncated             minima of the inputs with few active features alone

Figures of several topics
    plots.style                 the style of all figures, feature vectors, colours
    plots.curves                curves of many runs: names at their ends, bands
    plots.matrices              W^T W beside b, cosines, one model's report
    plots.densities             a row of models from dense to sparse, counts over density
    plots.training              losses of restarts; norms and angles during training
    plots.animation             features forming in the plane, as GIFs

Phase diagrams
    phases.diagram              window, exact map, phases of cells, boundaries, agreement
    phases.trained              trained models of every cell: aggregation, stuck runs
    phases.landscape            two features in one dimension: onset, tricritical points
    phases.meeting              where minima with a penalty have the same value
    phases.penalty              where a penalty ends superposition
    phases.transition           its minima followed through the transition
    phases.flow                 noise-free gradient flow: ends, ways, second derivatives
    phases.basins               which minimum it selects, from starts in a plane
    phases.compression          density against compression: the fates of features
    phases.one_axis             equal features on one axis: branches, rare limit, best split
    phases.plots                pictures of phase diagrams
    phases.transition_plots     pictures of the transition
    phases.penalty_plots        where a penalty ends superposition
    phases.compression_plots    pictures of the map of compression
    phases.one_axis_plots       numbers beside the weights on one axis

Theorems, proved in arithmetic that rounds outward
    proofs.intervals            intervals of arrays, rounded outward
    proofs.boxes                branch and bound over boxes, none left out
    proofs.definite             which intervals of matrices are positive definite
    proofs.statement            a statement, its proof printed; the arithmetic checked
    proofs.polygon              regular polygons: loss, bounds in boxes, second derivatives
    proofs.pentagon             the pentagon is the optimum with one active feature
    proofs.hexagon              and the hexagon that of six features
    proofs.rare                 the pentagon for rare features, p < 0.001, with the full loss
    proofs.nearby               near the pentagon: what curves upward, what downward
    proofs.pairs                two active features: slopes and second derivatives
    proofs.one_axis             three features on one axis: a conjecture refuted, in fractions
    proofs.smallest             two features in one dimension: every minimum of the map enclosed
    proofs.candidates           its models, found by descents, and their loss from above
    proofs.weights              its loss over boxes of weights, from below
    proofs.outputs              the loss of one of its outputs over boxes, with the best bias
    proofs.moments              that loss, and the moments it consists of, enclosed
    proofs.rounding             numbers rounded outward, compiled

Getting features back
    recovery.methods            readouts with known directions: matched filter, OMP, Lasso, ...
    recovery.networks           learned decoders and sparse autoencoders
    recovery.blind              directions found from hidden vectors alone
    recovery.study              the comparison: splits, scores, intervals over seeds
    recovery.threshold          exact or not: the phase transition of compressed sensing
    recovery.plots              figures of these, names of their results

Other models and data
    variants.polygons           regular polygons of equal features, and where they are minima
    variants.one_active         exactly one active feature: loss, minima, pairs of neighbours
    variants.neurons            what neurons of a hidden ReLU respond to
    variants.deep               one more nonlinear layer
    variants.words              word frequencies of a real text
    variants.tables             training on a table of observations
    variants.plots              figures of these

Single runs and claims
    robustness.criteria         when a claim holds: one function a claim, whoever asks
    robustness.statements       what single runs are trained for: statements, each with its judge
    robustness.runs             runs over a grid of settings, rates with intervals
    robustness.plots            figures of the rates

Sliders
    explorer.sliders            the exact optimum that follows sliders, a cursor on a diagram
    explorer.panels             the panels of these pictures

What make runs
    build.execution             a notebook from a copy, published whole or not at all
    build.notebook              a notebook read and cleaned: equal results, equal bytes
    build.publishing            where its files go
    build.render                Markdown and notebooks as HTML that needs no network
    build.pages                 the pages of make html, with their index
    build.readme                the numbers and the ledger of README.md
    build.times                 how long the notebooks take
    build.reproduce             two builds compared byte for byte

Beside these, build/setup.sh makes the Python environment and installs the TeX packages that the
write-up needs; build/constraints.txt pins what pip brings along.
"""

# Set in runs that make starts: where their files go. Without it somebody may be looking on.
OUTPUT_VARIABLE = "SUPERPOSITION_OUTPUT"
