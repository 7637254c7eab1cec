"""Teaches detect-secrets what a Tritone API key looks like. What a key is, is `tritone_backend.access.keys`' matter."""

import re
from typing import ClassVar

from detect_secrets.plugins.base import RegexBasedDetector


class TritoneKeyDetector(RegexBasedDetector):
    """Finds API keys as `tritone keys add` makes them."""

    secret_type = "Tritone API key"  # noqa: S105 - the kind's name, not a secret
    denylist: ClassVar = [re.compile(r"trt_[a-z0-9-]{1,32}_[0-9a-f]{64}")]
