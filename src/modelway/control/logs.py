"""The log of a process that runs in the background: one JSON object a line, on standard error."""

import json
import logging
from datetime import UTC, datetime

FIELDS = "fields"
"""What a record may bear: `log.warning(text, extra={"fields": {"request": …}})`."""


class JsonLines(logging.Formatter):
    """`at`, `level`, `text`, what the record bears in `fields`, and a traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        told = {"at": at, "level": record.levelname, "text": record.getMessage(), **getattr(record, FIELDS, {})}
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False, default=str).encode(errors="backslashreplace").decode()


def log_as_json() -> None:
    """From now on, for the whole process."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
