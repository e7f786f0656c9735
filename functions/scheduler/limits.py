"""Limits of AWS, each with its source, and the limits of the scheduler that follow from them."""

# Amazon SQS, "message quotas".
SQS_DELAY_S_MAX = 900
"""The longest DelaySeconds. The table and the feed exist because of it."""
GROUP_CHARACTERS_MAX = 128
"""The length of a MessageGroupId."""
SQS_BATCH_MESSAGES_MAX = 10
SQS_BATCH_BYTES_MAX = 1_048_576
"""The total of all bodies and attributes in one SendMessageBatch."""
SQS_MESSAGE_BYTES_MAX = 1_048_576
SQS_QUEUE_BYTES_MIN = 1_024
"""The smallest MaximumMessageSize that a queue can have."""

# Amazon DynamoDB, "quotas".
DYNAMODB_BATCH_WRITES_MAX = 25
"""Puts and deletes in one BatchWriteItem."""
DYNAMODB_SORT_BYTES_MAX = 1_024
"""The size of a sort key."""
DYNAMODB_ITEM_BYTES_MAX = 400_000
"""The size of an item, including attribute names. DynamoDB allows 400 KB of 1,024, so a size may be an estimate."""

# Amazon SNS, "publishing large messages": body and attributes together.
SNS_MESSAGE_BYTES_MAX = 262_144
"""The default of a topic. The owner can raise it to 1 MiB, but the ARN does not show that."""

# AWS Step Functions, "quotas related to task executions": a hard quota, "as a UTF-8 encoded string".
STEP_FUNCTIONS_INPUT_BYTES_MAX = 262_144

# AWS Lambda, "error handling of asynchronous invocations".
LAMBDA_RETRIES_MAX = 2
LAMBDA_RETRY_WAITS_S = (60, 120)

# AWS Lambda, "quotas": 6 MB for a synchronous answer.
ANSWER_BYTES_MAX = 5_000_000
"""This leaves room and assumes ASCII, as runtimes may write."""

# The scheduler's own. The table is designed for these. template.yml repeats them, and a test compares both.
PARTITIONS_MAX = 256
DUE_MS_MAX = 253_402_300_799_999
"""The last millisecond of the year 9999. Keys have fifteen digits, so that they sort as text as they do as numbers."""
DUE_DIGITS = 15
LEAD_S_MAX = 3
"""How early a message may reach the deliver function. The function waits until it is due, and Lambda bills the wait."""
SPREAD_S_MAX = 86_400
"""The longest `spread` of a schedule: a day."""
DATA_BYTES_MAX = 262_144
"""256 KiB. This leaves room for the other attributes in an item of at most 400 KB."""
BATCH_SCHEDULES_MAX = 10_000
"""About as many as fit into the 6 MB of a synchronous invocation."""
TOKEN_CHARACTERS_MAX = 128
USER_CHARACTERS_MAX = 256
NAME_CHARACTERS_MAX = 128
APPLICATION_NAME_CHARACTERS_MAX = 64
TARGET_BYTES_MAX = 16_384
NESTING_MAX = 100
"""Levels of `data`. No sane payload has more, and some parsers downstream fail at a few more."""

# Applications. "Requests per key" are API Gateway's usage plans; the API's own throttle is the bound for all together.
APPLICATIONS_MAX = 1_000
"""Each costs a query for each partition and tick."""
APPLICATION_QUOTA_MAX = 1_000_000_000
"""The most schedules a day that a quota can name. More than the API takes in a day."""
API_RATE_MAX = 100
"""The requests a second that the HTTP API takes in all."""
API_BURST_MAX = 200
APPLICATION_RATE_DEFAULT = 20
"""The requests a second for each key of an application that was created without a rate."""
APPLICATION_BURST_DEFAULT = 40
