"""A random forest, the best of the Handbook's baseline models by average precision."""

from sklearn.ensemble import RandomForestClassifier


def build(params):
    return RandomForestClassifier(
        n_estimators=params.get("trees", 100), max_depth=params.get("depth", 20), random_state=0, n_jobs=1
    )
