"""bmctl: the command line for bare-metal machines, in the manner of kubectl. Also the kubectl plugin ``kubectl-bm``.

Border: it speaks to the Kubernetes API and reads trace files; it knows ``provider.api`` and nothing else of ours.
Neighbours: ``commands`` has one file per verb; ``cluster`` is its one door to the API; ``tree`` and ``waterfall`` are
pure and turn objects and spans into what is printed. Heavy imports (the Kubernetes client, pydantic's models) are made
inside the commands that need them, so that ``--help`` and completion stay quick.
"""
