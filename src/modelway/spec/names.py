"""Names that a spec may use and that other stages define: a test holds them equal."""

from collections.abc import Mapping

from modelway.records import Task

LATENCIES = ("latency_p50_ms", "latency_p99_ms")
LABELLED = ("roc_auc", "average_precision", "precision", "recall", "cost")
"""What is said of a detector of anomalies where labels are known."""
METRICS: Mapping[Task, tuple[str, ...]] = {
    "binary": (
        *("roc_auc", "average_precision", "log_loss", "brier", "accuracy", "balanced_accuracy", "f1", "precision"),
        *("recall", "cost", *LATENCIES, "four_fifths"),
    ),
    "multiclass": ("accuracy", "balanced_accuracy", "log_loss", "macro_f1", "roc_auc_ovr", *LATENCIES),
    "regression": ("mae", "rmse", "r2", "mape", *LATENCIES),
    "anomaly": (*LABELLED, "alert_share", *LATENCIES, "four_fifths"),
}
"""What a gate of the task may name."""
SEARCH_METRICS: Mapping[Task, tuple[str, ...]] = {
    "binary": ("log_loss", "roc_auc", "average_precision", "brier", "accuracy"),
    "multiclass": ("log_loss", "roc_auc", "average_precision", "brier", "accuracy"),
    "regression": ("rmse", "mae", "r2"),
    "anomaly": ("roc_auc", "average_precision"),
}
"""What a search may improve."""
