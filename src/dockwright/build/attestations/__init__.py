"""What is said of an image beside it: where it comes from (provenance), and what is in it (a bill of materials).

    asked               what may be asked for
    provenance, recipe  SLSA's predicate, and the build's steps as BuildKit tells them
    sbom                a scanner image, run on the result

What does not belong here: how they are stored, which is the exporters' (`outputs/statements.py`).
"""

from dockwright.build.attestations.asked import Attestations, Provenance, Sbom, parse

__all__ = ["Attestations", "Provenance", "Sbom", "parse"]
