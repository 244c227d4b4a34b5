"""`kubectl streammonitor`: how the streams are, in a terminal.

It asks the cluster through kubectl, so with the user's kubeconfig, credentials and rights, and
needs nothing but the api. `plan` is the operator's own command, where that is installed too.
"""
