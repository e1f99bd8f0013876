"""bm-api: the aggregated API server ``subresources.metalplane.io``, by which a machine is told what to do now.

A verb reads objects, decides purely and writes desired state; nothing is done behind the objects' back, and nothing is
kept here, so replicas serve side by side and any of them may die. The console is the exception: it is a stream, and one
replica owns it (``console``).

How the parts fit: ``routes`` is the one table of what is served; ``server`` makes aiohttp routes of it, ``discovery``
and ``openapi`` what clients are told. A request is authenticated (``authentication``: the front proxy's certificate, or
a token), authorised (``authorization``: SubjectAccessReview), its options are read (``options``), and a handler of
``machines``, ``servers`` or ``streams`` answers. ``power`` and ``devices`` decide, without I/O; ``errors`` is all that
a caller can be told of a failure.

Border: of the provider it knows the API, the runtime, the names of a machine's children, and how BMCs are reached.
"""
