"""Numbers that are not ours to choose, each once, with where it comes from; and the few that follow from them."""

# Amazon SQS, "message quotas".
SQS_DELAY_S_MAX = 900
"""The longest DelaySeconds. It is why there is a table and a feed at all."""
GROUP_CHARACTERS_MAX = 128
"""Of a MessageGroupId."""
SQS_BATCH_MESSAGES_MAX = 10
SQS_BATCH_BYTES_MAX = 1_048_576
"""All bodies and attributes of one SendMessageBatch together."""
SQS_MESSAGE_BYTES_MAX = 1_048_576
SQS_QUEUE_BYTES_MIN = 1_024
"""The least that the owner of a queue may set as its MaximumMessageSize."""

# Amazon DynamoDB, "quotas".
DYNAMODB_BATCH_WRITES_MAX = 25
"""Puts and deletes in one BatchWriteItem."""
DYNAMODB_SORT_BYTES_MAX = 1_024
"""Of a sort key."""
DYNAMODB_ITEM_BYTES_MAX = 400_000
"""Of an item, the names of its attributes included; it takes 400 KB of 1,024, and who counts need not be exact."""

# Amazon SNS, "publishing large messages": body and attributes together.
SNS_MESSAGE_BYTES_MAX = 262_144
"""Of a topic as it is made. Its owner may raise it to a mebibyte, which nobody can tell from the ARN."""

# AWS Step Functions, "quotas related to task executions": a hard one, "as a UTF-8 encoded string".
STEP_FUNCTIONS_INPUT_BYTES_MAX = 262_144

# AWS Lambda, "error handling of asynchronous invocations".
LAMBDA_RETRIES_MAX = 2
LAMBDA_RETRY_WAITS_S = (60, 120)

# Ours. The table is designed for these; template.yml repeats them and a test compares.
PARTITIONS_MAX = 256
DUE_MS_MAX = 253_402_300_799_999
"""The last millisecond of the year 9999: fifteen digits, so that keys sort as text the way they sort as numbers."""
DUE_DIGITS = 15
LEAD_S_MAX = 3
"""How much earlier than due a message may be at the deliver function, which waits for it and is paid for waiting."""
DATA_BYTES_MAX = 262_144
"""256 KiB, which leaves room for the other attributes in an item of at most 400 KB."""
BATCH_SCHEDULES_MAX = 10_000
"""About what fits the 6 MB of a synchronous invocation."""
TOKEN_CHARACTERS_MAX = 128
USER_CHARACTERS_MAX = 256
NAME_CHARACTERS_MAX = 128
TARGET_BYTES_MAX = 16_384
NESTING_MAX = 100
"""Levels of `data`. No sane payload has more, and a parser somewhere downstream gives up soon after."""
