"""The Python client: a study's whole life over the REST interface, for scripts and notebooks.

    client = Client("http://127.0.0.1:8000")
    study = client.submit("study.yaml")
    client.wait(study.name)
    best = client.best(study.name)

Every method raises ServerUnreachable when no answer comes, Unauthorized for a wrong token,
NotFound, Conflict or InvalidInput for what the server refuses, ServerError for anything else.
"""

from tuner.client.client import DEFAULT_SERVER, Client
from tuner.client.requests import StudyId, StudyInput

__all__ = ["DEFAULT_SERVER", "Client", "StudyId", "StudyInput"]
