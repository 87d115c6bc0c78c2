"""The closed vocabularies of messages between server and worker; `docs/api.md` lists each.

On the wire they are texts, and another release may say one that this one does not know: a message
is never refused for it. What we say ourselves is a member.
"""

from enum import StrEnum

MOST_GPUS = 64  # that a worker has, and a trial is trained on
MOST_SLOTS = 64  # trials that a worker trains at once


class ErrorKind(StrEnum):
    """What went wrong with a trial; what its worker lacked is one of `messages.Unfitness`."""

    EXCEPTION = "exception"  # its code raised an error
    CONFIG = "invalid_config"  # its params cannot be trained; the message says what to change
    DIVERGED = "diverged"  # loss or weights are no longer finite
    DATA = "data"  # its files are mislabelled or damaged
    OUT_OF_MEMORY = "out_of_memory"  # the smallest part of a batch does not fit the device
    CRASH = "crash"  # the trainer process died
    HANG = "hang"  # the trainer process made no progress
    LOST_WORKER = "lost_worker"  # nothing was heard of the worker any more; the server's word


UNTRAINABLE = frozenset({ErrorKind.OUT_OF_MEMORY, ErrorKind.DIVERGED})  # the params are to blame


class ArtifactKind(StrEnum):
    """What a file of a trial is."""

    CHECKPOINT = "checkpoint"  # the state that another attempt resumes from; one a trial
    MODEL = "model"  # the weights of a completed trial; one a trial
    LOG = "log"  # the trainer's last output
    PREVIEW = "preview"  # samples as they are trained on
    PHOTOS = "photos"  # a sheet of the validation images that are looked at; see `spec.examples`
    TRUTH = "truth"  # their labels
    PREDICTIONS = "predictions"  # what an evaluation made of them, a sheet for each step


class DeviceKind(StrEnum):
    """What a worker trains on."""

    CPU = "cpu"
    CUDA = "cuda"  # an NVIDIA GPU
    MPS = "mps"  # Apple's GPU
