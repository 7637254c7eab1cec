"""The arithmetic of memory for stream slots: how many fit, and the refusal that says so. Nothing is allocated here."""

from __future__ import annotations

from dataclasses import dataclass

from tritone_backend.errors import EngineError

SERVICE_SLOTS = 1
"""Slots that the service takes beside one for each stream of --max-streams."""


@dataclass(frozen=True)
class Budget:
    """Memory of one device, in bytes.

    Attributes:
        free: free now.
        fixed: what the engine takes whatever the number of slots: workspace, contexts, a reserve for libraries.
        each: state of one slot.
        spare: slots that the engine adds for itself.
        where: name of the device, for people.
    """

    free: int
    fixed: int
    each: int
    spare: int
    where: str

    @property
    def fits(self) -> int:
        """Return the largest number of slots that can be asked for; 0 if there is no room for any."""
        return max(0, (self.free - self.fixed) // self.each - self.spare)

    def require(self, slots: int) -> None:
        """Refuse more slots than fit.

        Raises:
            EngineError: one line with the largest number that would work.
        """
        fits = self.fits
        if slots <= fits:
            return
        if fits < 1 + SERVICE_SLOTS:
            least = self.fixed + (1 + SERVICE_SLOTS + self.spare) * self.each
            raise EngineError(
                f"not one stream fits: the engine needs {_gib(least)} GiB for the first, and {_gib(self.free)} GiB are "
                f"free on {self.where}: stop what else uses it, or take --engine onnxruntime"
            )
        raise EngineError(
            f"{slots} slots need {_gib(self.fixed + (slots + self.spare) * self.each)} GiB and {_gib(self.free)} GiB "
            f"are free on {self.where}: at most {fits} fit, use --max-streams {fits - SERVICE_SLOTS} or fewer"
        )


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f}" if size < 2**30 else f"{size / 2**30:.1f}"
