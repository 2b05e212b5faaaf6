"""The kinds and levels of questions; apart, because the command's help needs them and no more."""

KINDS = ("concept", "design", "debugging", "coding", "behavioural")
LEVELS = ("junior", "mid", "senior")
