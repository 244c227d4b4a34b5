"""The steps of a reconcile pass, one file each, in the order that `reconcile.STEPS` gives.

A step looks at the work, changes what differs, and returns after how many seconds it wants to be
called again without anything happening; None means never. A step raises no `KubeError`: it notes
it in `work.failures`, so that one refused write does not keep the others from being made.
"""
