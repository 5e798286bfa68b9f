"""From vectors and labels of training ECGs to predictions for test ECGs: linear probe, nearest neighbours, boosting.

kNN is the published evaluation (5 neighbours, Euclidean, uniform, vectors as they are). A probe standardises by
training ECGs and takes the regularisation that validation ECGs like best. Boosting is for measured features, which may
be NaN.

Each readout: (kind, train x (n, d), train y (n,), validation x, validation y, test x (m, d)) -> predictions for the
test ECGs: (m,) probability of class 1 for "binary", (m, c) for "multiclass", (m,) values for "regression".
"""

import warnings

import numpy as np

NEIGHBOURS = 5
INVERSE_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)  # C of the logistic probe
RIDGE_STRENGTHS = tuple(10.0 ** np.arange(-1, 6))
BOOSTING = {
    "learning_rate": 0.05,
    "max_iter": 300,
    "max_leaf_nodes": 15,
    "early_stopping": True,
    "n_iter_no_change": 20,
    "random_state": 0,
}


def probe(
    kind: str, x: np.ndarray, y: np.ndarray, validation_x: np.ndarray, validation_y: np.ndarray, test_x: np.ndarray
) -> np.ndarray:
    """Linear probe: logistic regression for classes, ridge for values."""
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-6
    x, validation_x, test_x = ((part - mean) / scale for part in (x, validation_x, test_x))
    if kind == "regression":
        return _best_ridge(x, y, validation_x, validation_y).predict(test_x)
    return _probabilities(kind, _best_logistic(x, y, validation_x, validation_y), test_x)


def knn(
    kind: str, x: np.ndarray, y: np.ndarray, validation_x: np.ndarray, validation_y: np.ndarray, test_x: np.ndarray
) -> np.ndarray:
    """The published readout: share of classes, or mean value, of the five nearest training ECGs."""
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    settings = {"n_neighbors": min(NEIGHBOURS, len(x)), "algorithm": "brute", "weights": "uniform"}
    if kind == "regression":
        return KNeighborsRegressor(**settings).fit(x, y).predict(test_x)
    return _probabilities(kind, KNeighborsClassifier(**settings).fit(x, y), test_x)


def boosting(
    kind: str, x: np.ndarray, y: np.ndarray, validation_x: np.ndarray, validation_y: np.ndarray, test_x: np.ndarray
) -> np.ndarray:
    """Gradient-boosted trees, as many as validation ECGs like."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    if kind == "regression":
        return (
            HistGradientBoostingRegressor(**BOOSTING).fit(x, y, X_val=validation_x, y_val=validation_y).predict(test_x)
        )
    classifier = HistGradientBoostingClassifier(**BOOSTING).fit(x, y, X_val=validation_x, y_val=validation_y)
    return _probabilities(kind, classifier, test_x)


READOUTS = {"probe": probe, "knn": knn, "boosting": boosting}


def _probabilities(kind: str, classifier, x: np.ndarray) -> np.ndarray:
    probabilities = classifier.predict_proba(x)
    return probabilities[:, 1] if kind == "binary" else probabilities


def _best_ridge(x: np.ndarray, y: np.ndarray, validation_x: np.ndarray, validation_y: np.ndarray):
    """The ridge regression with the smallest squared error on validation ECGs."""
    from sklearn.linear_model import Ridge

    fitted = [Ridge(alpha).fit(x, y) for alpha in RIDGE_STRENGTHS]
    errors = [((ridge.predict(validation_x) - validation_y) ** 2).mean() for ridge in fitted]
    return fitted[int(np.argmin(errors))]


def _best_logistic(x: np.ndarray, y: np.ndarray, validation_x: np.ndarray, validation_y: np.ndarray):
    """The logistic regression with the smallest log loss on validation ECGs; each strength starts from the one
    before."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    best, least = None, np.inf
    start: dict[str, np.ndarray] = {}
    for strength in INVERSE_STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=300, warm_start=True)
        for name, value in start.items():
            setattr(model, name, value.copy())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # 300 steps are enough for a probe
            model.fit(x, y)
        start = {"coef_": model.coef_, "intercept_": model.intercept_}
        loss = log_loss(validation_y, model.predict_proba(validation_x), labels=model.classes_)
        if loss < least:
            best, least = model, loss
    return best
