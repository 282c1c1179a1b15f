"""Teachers of several kinds in one distillation."""

from collections import Counter
from collections.abc import Sequence

from torch import nn

from custom_components.foundation.errors import InputError
from custom_components.losses.term import Answer
from custom_components.teachers.teachers import Batch, Summarise, Teachers


class TeachersTogether(Teachers):
    """Teachers of several kinds that answer as one group.

    Args:
        kinds: the groups of teachers.
        order: for each teacher of the result, the number of its group, from 0; the teachers of a group keep their own
            order.

    Raises:
        InputError: if two teachers have the same name.
    """

    def __init__(self, kinds: Sequence[Teachers], order: Sequence[int]) -> None:
        super().__init__()
        self._kinds = nn.ModuleList(kinds)
        self._order = order
        self.names = self._ordered([one.names for one in kinds])
        self.weights_sha256 = self._ordered([one.weights_sha256 for one in kinds])
        self.identities = self._ordered([one.identities for one in kinds])
        self.trained_on = self._ordered([one.trained_on or [None] * len(one.names) for one in kinds])
        self.stored = {name: teacher for one in kinds for name, teacher in one.stored.items()}
        self.seen = {name: told for one in kinds for name, told in one.seen.items()}
        for name, count in Counter(self.names).items():
            if count > 1:
                raise InputError(
                    f"two teachers are called {name}", "teachers", "give one a name: {'predictions': …, 'name': …}"
                )

    def answer(self, batch: Batch, summarise: Summarise) -> list[Answer]:
        return self._ordered([one.answer(batch, summarise) for one in self._kinds])

    def _ordered(self, groups: Sequence[Sequence]) -> list:
        turns = [iter(group) for group in groups]
        return [next(turns[number]) for number in self._order]
