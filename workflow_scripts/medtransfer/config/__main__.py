"""Print the JSON schema of a tier's configuration."""

import json

from medtransfer.config import schema

print(json.dumps(schema(), indent=2))
