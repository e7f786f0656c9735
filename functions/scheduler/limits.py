"""Numbers that are not ours to choose, each once, with where it comes from; and the few that follow from them."""

# Amazon SQS, "message quotas".
SQS_DELAY_S_MAX = 900
"""The longest DelaySeconds. It is why there is a table and a feed at all."""
SQS_BATCH_MESSAGES_MAX = 10
SQS_BATCH_BYTES_MAX = 1_048_576
"""All bodies and attributes of one SendMessageBatch together."""

# Amazon DynamoDB, "quotas".
DYNAMODB_BATCH_WRITES_MAX = 25
"""Puts and deletes in one BatchWriteItem."""

# AWS Lambda, "error handling of asynchronous invocations".
LAMBDA_RETRIES_MAX = 2
LAMBDA_RETRY_WAITS_S = (60, 120)

# Ours. The table is designed for these; template.yml repeats them and a test compares.
PARTITIONS_MAX = 256
DUE_MS_MAX = 253_402_300_799_999
"""The last millisecond of the year 9999: fifteen digits, so that keys sort as text the way they sort as numbers."""
DUE_DIGITS = 15
DATA_BYTES_MAX = 262_144
"""256 KiB, which leaves room for the other attributes in an item of at most 400 KB."""
BATCH_SCHEDULES_MAX = 10_000
"""About what fits the 6 MB of a synchronous invocation."""
TOKEN_CHARACTERS_MAX = 128
USER_CHARACTERS_MAX = 256
TARGET_BYTES_MAX = 16_384
NESTING_MAX = 100
"""Levels of `data`. No sane payload has more, and a parser somewhere downstream gives up soon after."""
