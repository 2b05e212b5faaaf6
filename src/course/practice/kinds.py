"""The kinds, levels and rounds of questions; apart, because the command's help needs them and no more."""

KINDS = ("concept", "design", "debugging", "coding", "behavioural")
LEVELS = ("junior", "mid", "senior")
ROUNDS = ("screen", "coding", "design", "debugging", "behavioural", "cv")
