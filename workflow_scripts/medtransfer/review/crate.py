"""A tier as an RO-Crate: its results, the workflow and configuration that made them, and who, what and from what.

RO-Crate 1.1 with the profile Workflow Run Crate 0.5 (https://w3id.org/ro/wfrun/workflow/0.5). Records of single runs
stay in provenance.parquet; the crate's own metadata tell of each arm of a study and of each network pre-trained here.
"""

import json
import mimetypes
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rocrate.model.contextentity import ContextEntity
from rocrate.model.entity import Entity
from rocrate.model.file import File
from rocrate.rocrate import ROCrate

from medtransfer.errors import UserError
from medtransfer.files import file_digest, link
from medtransfer.review.captions import caption_text
from medtransfer.review.provenance import Network, Record
from medtransfer.review.tier import Tier

SPECIFICATION, WORKFLOW = "1.1", "Snakefile"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
TERMS = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}
"""What the profile has beyond RO-Crate's own terms."""
FORMATS = {
    ".parquet": "application/vnd.apache.parquet",
    ".yaml": "application/yaml",
    ".md": "text/markdown",
    ".tex": "application/x-tex",
    ".csv": "text/csv",
}
RESULTS = {
    "metrics.parquet": "Every metric of every run, cohort, label and sub-group, with intervals over patients.",
    "completeness.csv": "Every run that was asked for, the arms of studies that use it, and whether it is there.",
    "provenance.parquet": "The record of every run and of every network pre-trained here: settings, checksums of "
    "inputs and outputs, machine, packages, seconds, memory.",
    "claims.csv": "Every claim with its contrasts, their effects, intervals, margins, runs and verdicts.",
    "upstreams.csv": "What each network of each upstream was trained on.",
}
SOURCES = {
    "config.yaml": "The configuration in force, usable with --configfile.",
    "CITATION.cff": "How to cite this artifact and the studies that it re-runs.",
    "requirements.lock": "The Python packages, with versions.",
    "frozen/frozen.json": "What was frozen: the code's commit, the machine, the checksums.",
}


def write_crate(folder: Path, files: Mapping[str, Path], tier: Tier, citation: Mapping[str, Any]) -> None:
    """Write a tier's crate: its files, which are linked, and ro-crate-metadata.json.

    The same files give the same bytes: nothing in it depends on when or where it is written.

    Args:
        folder: The crate's.
        files: Where each file of the crate comes from, by its path there; `Snakefile` and `config.yaml` are
            among them.
        tier: The results.
        citation: What CITATION.cff says.

    Raises:
        UserError: CITATION.cff has no date, which stands for that of the crate.
    """
    crate = ROCrate(version=SPECIFICATION)
    crate.metadata.extra_terms.update(TERMS)
    for name, source in sorted(files.items()):
        link(source, folder / name)
        _add_file(crate, name, source, tier)
    authors = [_agent(crate, author) for author in citation["authors"]]
    _describe(crate, tier, citation, authors)
    _add_actions(crate, tier, authors)
    crate.metadata.write(folder)


def _add_file(crate: ROCrate, name: str, source: Path, tier: Tier) -> File:
    """A file with its size, format, checksum and, where it has one, its caption."""
    form = FORMATS.get(source.suffix) or mimetypes.guess_type(name)[0] or "text/plain"
    size, digest = str(source.stat().st_size), file_digest(source)
    told: dict[str, Any] = {"name": name, "sha256": digest, "contentSize": size, "encodingFormat": form}
    shown = name.startswith(("figures/", "tables/"))
    description = (
        " ".join(caption_text(source.stem, tier.study(source.stem))) if shown else (RESULTS | SOURCES).get(name, "")
    )
    told |= {"description": description} if description else {}
    told |= {"about": {"@id": "./"}} if name == "README.md" else {}
    if name == WORKFLOW:
        return crate.add_workflow(source, name, main=True, lang="snakemake", properties=told)
    return crate.add_file(source, name, properties=told)


def _describe(crate: ROCrate, tier: Tier, citation: Mapping[str, Any], authors: Sequence[ContextEntity]) -> None:
    """Name, licence, authors, citations and date of the crate and of its workflow."""
    if "date-released" not in citation:
        raise UserError("CITATION.cff has no `date-released`, which is the date of the crate. Add it: yyyy-mm-dd.")
    notes = dict.fromkeys(study["note"] for study in tier.studies if study["note"])
    spdx = citation["license"]
    licence = _add(crate, f"https://spdx.org/licenses/{spdx}", "CreativeWork", name=spdx)
    root, workflow = crate.root_dataset, crate.mainEntity
    crate.name = f"{citation['title']}: results of the tier {tier.name}"
    crate.description = " ".join(["Figures, tables and verdicts, with all that they rest on.", *notes])
    crate.keywords = ", ".join(citation.get("keywords", []))
    crate.license = licence
    root["datePublished"] = str(citation["date-released"])
    root["author"], root["publisher"] = one_or_more(authors), authors[0]
    root["conformsTo"] = [
        _add(crate, uri, "CreativeWork", name=name, version=uri.rpartition("/")[2]) for uri, name in PROFILES.items()
    ]
    root["citation"] = [_paper(crate, each) for each in citation.get("references", [])]
    workflow["name"], workflow["version"] = citation["title"], tier.code
    workflow["license"], workflow["author"] = licence, one_or_more(authors)
    workflow["softwareRequirements"] = _packages(crate, tier)


def _agent(crate: ROCrate, author: Mapping[str, str]) -> ContextEntity:
    """A person or, if it has but one name, an organisation, of a citation file."""
    name = author.get("name") or f"{author['given-names']} {author['family-names']}"
    identifier = author.get("orcid") or author.get("website") or _local("agent", name)
    return _add(crate, identifier, "Organization" if "name" in author else "Person", name=name)


def _paper(crate: ROCrate, reference: Mapping[str, Any]) -> ContextEntity:
    authors = [_agent(crate, author) for author in reference["authors"]]
    told = {"name": reference["title"], "datePublished": str(reference["year"]), "author": authors}
    return _add(crate, reference["url"], "ScholarlyArticle", **told)


def _packages(crate: ROCrate, tier: Tier) -> list[ContextEntity]:
    """Every package, in every version that training ran with."""
    records = [*tier.provenance.runs.values(), *tier.provenance.networks.values()]
    versions = sorted({each for record in records for each in record.content["packages"].items()})
    return [
        _add(crate, f"{_home(name)}#{version}", "SoftwareApplication", name=name, version=version, url=_home(name))
        for name, version in versions
    ]


def _home(package: str) -> str:
    return "https://www.python.org/" if package == "python" else f"https://pypi.org/project/{package}/"


def _add_actions(crate: ROCrate, tier: Tier, authors: Sequence[ContextEntity]) -> None:
    """What was done: pre-training of each network, fine-tuning for each arm of a study, and the workflow as a whole."""
    named = {file.id: file for file in crate.data_entities}
    provenance, configuration = named["provenance.parquet"], named["config.yaml"]
    told = {"name": "Training: medtransfer.training, a part of this workflow", "version": _versions(tier)}
    training = _add(crate, "#training", "SoftwareApplication", **told)
    act = partial(_act, crate, authors[0])
    weights = {}
    for network, record in tier.provenance.networks.items():
        weights[network] = _weights(crate, network, record.outputs["weights"])
        act("pre-training", str(network), training, [configuration], [weights[network], provenance], [record])
    for arm in dict.fromkeys(arm for run in tier.runs for arm in run.arms):
        runs = [run for run in tier.runs if arm in run.arms and run in tier.provenance.runs]
        records = [tier.provenance.runs[run] for run in runs]
        started = [weights[each] for each in tier.provenance.origins(runs) if each in weights]
        used = [configuration, *_cohorts(crate, records), *started]
        act("fine-tuning", arm, training, used, [provenance, named["metrics.parquet"]], records)
    made = [file for name, file in named.items() if name in RESULTS or name.startswith(("figures/", "tables/"))]
    everything = [*tier.provenance.networks.values(), *tier.provenance.runs.values()]
    act("workflow", tier.name, crate.mainEntity, [configuration], made, everything)


def _versions(tier: Tier) -> str:
    found = sorted({record.content["recipe_version"] for record in tier.provenance.runs.values()})
    return "recipe version " + ", ".join(map(str, found))


def _act(
    crate: ROCrate,
    agent: ContextEntity,
    kind: str,
    what: str,
    instrument: ContextEntity,
    used: Sequence[Entity],
    made: Sequence[Entity],
    records: Sequence[Record],
) -> None:
    """An action, with what the records of its training say together."""
    seconds = sum(sum(record.content["seconds"].values()) for record in records)
    devices = " and ".join(sorted({record.content["device"] for record in records})) or "no device"
    told = {
        "@type": "CreateAction",
        "name": f"{kind}: {what}",
        "description": f"{len(records)} records of training, {seconds:,.0f} s together, on {devices}.",
        "actionStatus": "http://schema.org/CompletedActionStatus",
        "agent": agent,
    }
    action = crate.add_action(instrument, _local(kind, what), one_or_more(used), one_or_more(made), told)
    crate.root_dataset.append_to("mentions", action)


def _cohorts(crate: ROCrate, records: Sequence[Record]) -> list[ContextEntity]:
    """The cohorts that some runs read, known by their checksums: they themselves are not in the crate."""
    found = sorted({each for record in records for each in record.content["inputs"]["cohorts"].items()})
    return [
        _add(crate, _local("cohort", name, digest[:12]), "CreativeWork", name=f"Cohort {name}", sha256=digest)
        for name, digest in found
    ]


def _weights(crate: ROCrate, network: Network, digest: str) -> ContextEntity:
    identifier = _local("weights", network.upstream, network.backbone)
    return _add(crate, identifier, "CreativeWork", name=f"Weights of {network}", sha256=digest)


def one_or_more(values: Sequence[Entity]) -> Entity | list[Entity]:
    """A list, or its only element: JSON-LD has no lists of one."""
    return values[0] if len(values) == 1 else list(values)


def _add(crate: ROCrate, identifier: str, kind: str, **told: Any) -> ContextEntity:
    """An entity that is no file; the one that is there already, if it was named before."""
    return crate.get(identifier) or crate.add(ContextEntity(crate, identifier, {"@type": kind, **told}))


def _local(*parts: str) -> str:
    """An identifier within the crate."""
    return "#" + "-".join("".join(c if c.isalnum() or c in "._" else "-" for c in part.lower()) for part in parts)


def read_metadata(folder: Path) -> dict[str, Any]:
    """A crate's metadata."""
    return json.loads((folder / "ro-crate-metadata.json").read_text())
