"""What a webhook says: an event as JSON, signed as standardwebhooks.com has it, or for Slack."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping

from api.webhooks.hooks import ENCODED, Hook
from tuner.service.webhooks import Unsent
from tuner.spec.events import EventKind
from tuner.spec.views import Event

_VERBS = {
    EventKind.TRIAL_CREATED: "was drawn",
    EventKind.TRIAL_STARTED: "started",
    EventKind.TRIAL_REPORTED: "reported",
    EventKind.TRIAL_PAUSED: "is paused",
    EventKind.TRIAL_WAITING: "waits",
}


def message_id(study_id: int, event: Event) -> str:
    """The same for an event whenever it is sent, and no other's, in a restored database either."""
    return f"evt_{study_id}_{event.seq}_{round(event.created_at.timestamp() * 1e6):x}"


def body(hook: Hook, unsent: Unsent, event: Event) -> bytes:
    """The request's body."""
    if hook.format == "slack":
        return json.dumps({"text": _escaped(sentence(unsent.study, event))}).encode()
    return json.dumps(
        {
            "id": message_id(unsent.study_id, event),
            "type": event.kind,
            "timestamp": event.created_at.isoformat().replace("+00:00", "Z"),
            "study": {"id": unsent.study_id, "name": unsent.study},
            "seq": event.seq,
            "trial": event.trial,
            "data": event.data,
        },
        default=str,
    ).encode()


def headers(hook: Hook, identity: str, content: bytes, *, now: float) -> Mapping[str, str]:
    """The request's headers: its id, the time of sending, and the signature over all of it."""
    found = {"Content-Type": "application/json", "User-Agent": "segtune"}
    if hook.format == "slack":
        return found
    stamp = str(int(now))
    found |= {"webhook-id": identity, "webhook-timestamp": stamp}
    return {**found, "webhook-signature": signature(hook.key, identity, stamp, content)}


def signature(secret: str, identity: str, stamp: str, content: bytes) -> str:
    """`v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64."""
    key = secret.encode()
    if secret.startswith(ENCODED):
        key = base64.b64decode(secret.removeprefix(ENCODED))
    signed = f"{identity}.{stamp}.".encode() + content
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def sentence(study: str, event: Event) -> str:
    """The event in words."""
    data = event.data
    if event.trial is None:
        return f"Study {study} {_of_study(event)}"
    said = _VERBS.get(EventKind(event.kind)) or str(data.get("state", "ended"))
    if data.get("step"):
        said += f" at step {data['step']}"
    if data.get("value") is not None:
        said += f" with {data['value']:.4g}"
    reason = f": {data['reason']}" if data.get("reason") else ""
    return f"Trial {event.trial} of {study} {said}{reason}"


def _of_study(event: Event) -> str:
    data = dict(event.data)
    if event.kind == EventKind.STUDY_CREATED:
        return "was submitted"
    if event.kind == EventKind.STUDY_WARNED:
        return f"warns: {data.get('text', '')}"
    if "deleted" in data:
        return "was deleted" if data["deleted"] else "was restored"
    state, reason = data.pop("state", None), data.pop("reason", None)
    said = f"is {state}" if state else "changed"
    details = reason or ", ".join(f"{name}: {value}" for name, value in data.items())
    return f"{said}: {details}" if details else said


def _escaped(text: str) -> str:
    """Slack reads these three as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
