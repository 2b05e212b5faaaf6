"""The kinds, levels and rounds of questions; apart, because the command's help needs them and no more."""

KINDS = ("concept", "design", "debugging", "coding", "behavioural")
LEVELS = ("junior", "mid", "senior")
ROUNDS = ("screen", "coding", "design", "debugging", "behavioural", "cv")

# General files whose questions come before those of the others: what is asked most often of their subject.
CORE = ("basics", "time_series", "sql_and_pandas", "platforms", "language_models", "coding", "design", "cv")

# Subjects that practice asks by turns, as it does lessons. Any other subject is what a story or a case is
# about; those have one turn together, by kind.
TOPICS = (
    "models",
    "metrics and experiments",
    "time series",
    "sql and pandas",
    "language models",
    "azure",
    "databricks and spark",
    "lake and warehouse",
    "pipelines and containers",
    "introducing yourself",
    "the client",
)
