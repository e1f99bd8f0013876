"""bmctl: the command line for bare-metal machines, in the manner of kubectl. Also the kubectl plugin ``kubectl-bm``.

Border: it speaks to the Kubernetes API, in which our aggregated API is, and reads trace files; of ours it knows
``provider.api`` (kinds and names, no models), and of ``provider.runtime`` only how a kubeconfig is read.

It is to start as quickly as kubectl, so nothing is imported that the verb at hand does not need: ``verbs`` is a table
of names, and a verb's module is imported when it is called. argparse and http.client cost a fifth of what typer and the
Kubernetes client do.

Neighbours: ``commands`` has one file per verb (``declare`` its arguments, ``run`` it); ``arguments`` makes parsers of
them; ``cluster`` is the one door to the API, over the one connection of ``connection``; ``waiting`` follows objects
until they are what was asked for, and ``progress`` shows that; ``console`` is the serial console. What decides how
something looks is pure: ``manifest``, ``tree``, ``waterfall``, ``jsonpath``, ``redaction``, ``reference``.
"""
