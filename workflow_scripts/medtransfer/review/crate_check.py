"""Whether a crate is what it says: valid by its profile, and its files as its checksums have them."""

import tempfile
from pathlib import Path

from rocrate.vocabs import RO_CRATE
from rocrate_validator.models import Severity
from rocrate_validator.services import validate_metadata_as_dict

from medtransfer.errors import UserError
from medtransfer.files import file_digest
from medtransfer.review.crate import read_metadata

PROFILE = "workflow-run-crate-0.5"
BIOSCHEMAS = "https://bioschemas.org"
"""Of these terms RO-Crate 1.1 has other definitions than the context that rocrate brings along, that of 1.3."""
CHANGED = {
    "ComputationalWorkflow": f"{BIOSCHEMAS}/ComputationalWorkflow",
    "FormalParameter": f"{BIOSCHEMAS}/FormalParameter",
    "input": f"{BIOSCHEMAS}/ComputationalWorkflow#input",
    "output": f"{BIOSCHEMAS}/ComputationalWorkflow#output",
    "cite-as": "https://www.w3.org/ns/iana/link-relations/relation#cite-as",
}


def check_crate(folder: Path) -> None:
    """Validate a crate by its profile, and hold its files against their checksums.

    The validator would fetch RO-Crate's context from the internet; it gets the terms in its place.

    Raises:
        UserError: Names all that is wrong.
    """
    found = [*issues(folder), *(f"{name} is not the file that the metadata describe" for name in altered(folder))]
    if found:
        raise UserError(f"{folder} is no valid RO-Crate:\n" + "\n".join(f"  {each}" for each in found))


def issues(folder: Path, severity: Severity = Severity.REQUIRED) -> list[str]:
    """What the validator has to say against a crate."""
    metadata = read_metadata(folder)
    _, *own = metadata["@context"]
    metadata["@context"] = [RO_CRATE["@context"] | CHANGED, *own]
    with tempfile.TemporaryDirectory() as cache:
        settings = {
            "rocrate_uri": str(folder),
            "package_root": folder,
            "profile_identifier": PROFILE,
            "requirement_severity": severity,
            "offline": True,
            "cache_path": Path(cache) / "http",
        }
        result = validate_metadata_as_dict(metadata, settings)
    return sorted(f"{issue.message} ({issue.check.identifier})" for issue in result.get_issues())


def altered(folder: Path) -> list[str]:
    """The files of a crate that are not as its metadata describe them, or are not there."""
    files = {each["@id"]: each["sha256"] for each in read_metadata(folder)["@graph"] if "File" in each["@type"]}
    return [
        name for name, digest in files.items() if not (folder / name).is_file() or file_digest(folder / name) != digest
    ]
