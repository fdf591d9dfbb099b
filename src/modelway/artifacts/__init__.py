"""Artefacts by content hash: graphs, manifests, training sets, estimators, reports."""
