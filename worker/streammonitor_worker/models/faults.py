"""What can be wrong with a model."""

MISSING = "ModelMissing"
UNREADABLE = "ModelUnreadable"
INVALID = "ModelInvalid"
TOO_LARGE = "ModelTooLarge"
INPUT = "ModelInputMismatch"
OUTPUT = "ModelOutputMismatch"
LABEL = "ModelLabelUnknown"
FAILED = "ModelFailed"
TOO_SLOW = "ModelTooSlow"
TOO_MANY = "TooManyModels"


class ModelFault(Exception):
    """A model cannot be used.

    Attributes:
        reason: CamelCase cause, as in ModelMissing.
        message: One sentence for a person: what, where, remedy.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message
