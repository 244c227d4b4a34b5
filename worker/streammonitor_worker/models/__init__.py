"""A user's own models: read from a mounted folder, tried apart, shared by all streams.

ONNX Runtime runs them rather than OpenCV's `dnn`, which is here already: OpenCV's parser ends the
process at some damaged files, its `Net` is for one thread only, and it is slower; docs/model.md has
the figures. Nothing imports ONNX Runtime before a model is declared.
"""
