"""Container names: what is allowed, and generated ones of the form adjective_noun."""

from __future__ import annotations

import re
import secrets

from dockwright.errors import Invalid

PATTERN = re.compile(r"^[a-zA-Z0-9][a-zA-Z0-9_.-]+$")
LIMIT = 4096

_ADJECTIVES = (
    "amber ample apt balmy bold brave breezy bright brisk calm candid clear clever cosy crisp daring deft eager early "
    "earnest easy elated fair fluent fond frank fresh gentle glad golden grand hardy hearty honest humble jolly keen kind "
    "lively loyal lucid lucky mellow merry mild modest neat nimble noble patient placid plucky polite proud quick quiet "
    "rapid ready robust rosy serene sharp silent sleek smooth snug sound spry steady still stout sunny sure swift tidy "
    "tranquil trim trusty upbeat vivid warm wise witty zesty"
).split()

_NOUNS = (
    "anchor barge beacon bollard boom bosun bow bridge brig buoy cabin canal canoe capstan cargo clipper coast compass coral "
    "cove crane crew current cutter davit deck delta derrick dinghy dock drift estuary ferry fjord flag fleet foghorn galley "
    "gangway gull gunwale halyard harbour hatch haven hawser helm hull inlet island jetty jib kayak keel ketch knot lagoon "
    "lantern lighthouse lock log mainsail mariner marina mast mooring oar outrigger pier pilot porthole prow quay raft "
    "reef rigging rudder sail sampan schooner scow sextant shoal skiff sloop sounding spar stern tender tide tiller trawler "
    "tug wake wharf winch yawl"
).split()


def generate(attempt: int = 0) -> str:
    """A random name; later attempts append a digit, so that a free one is found among many taken."""
    name = f"{secrets.choice(_ADJECTIVES)}_{secrets.choice(_NOUNS)}"
    return f"{name}{secrets.randbelow(10 ** min(attempt, 6))}" if attempt else name


def validate(name: str) -> str:
    """The name without a leading slash. Raises `Invalid` with Docker's wording."""
    bare = name.removeprefix("/")
    if not PATTERN.match(bare) or len(bare) > LIMIT:
        shown = bare if len(bare) <= 128 else bare[:128] + "…"
        raise Invalid(f"Invalid container name ({shown}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    return bare
