"""What the pipeline asks of a model: a protocol that every kind of model satisfies.

`DenseSpec` is a dense network, `UserSpec` a model of a user's own. Search, evaluation, retraining and serving know a model
by this protocol and its `Recipe`. What kinds have of their own is chosen by kind, in these places:

- the search space: `space_of` in `spaces.py`;
- the Keras model: `build` in `networks.py`;
- the JSON: `_spec` in `recipe.py`;
- the trainer: `train` in `training/choose_trainer.py`;
- when two networks share a compiled program: `program_key` in `training/program_cache.py`;
- what is charted of a trial: `Trial.searched` in `search/trials.py`, and its text `network.txt`: `logged` in
  `search/log_trial.py`;
- the code that the saved model needs: `log_chosen_model` in `evaluation/log_model.py`;
- guards against the other kind, which should not fire: `dense` in `dense.py`, and `train` in `training/keras_trainer.py`.

Whether the experiment names a user's own model (`experiment.model`) is asked in these places too:

- how the key is read: `load` in `experiment/loading.py`;
- what an experiment may say: `_has_one_space` and `_can_search_its_training` in `experiment/schema.py`;
- whether images keep their colour: `load` in `session.py`;
- when TensorFlow is started: `run.py`, and `start_workers` in `search/workers/choose.py`;
- what makes two searches the same: `identity` in `search/resume.py`;
- what a search records: `_begin` and `_sum_up` in `search/step.py`;
- how trials and versions of the store become recipes again: `search/step.py`, `evaluation/step.py` and
  `retraining/challenger.py`;
- whether a champion's code has changed: `retraining/plan.py`;
- the settings of baseline and notebook network: `_shared` in `evaluation/finalists.py`;
- how the report speaks of layers: `evaluation/analyses/placement_effects.py`, and of the network that the chosen one is
  compared with: `evaluation/report/build.py`.

A user's own model needs none of these: it is a function in a file that an experiment names (docs/own-model.md).
"""

from typing import Any, Protocol


class ModelSpec(Protocol):
    """What a trial trains: a frozen, hashable record of hyperparameters."""

    def architecture(self, inputs: int, classes: int) -> str:
        """The model in one line, such as `784-256(0.2)-128-10`."""

    @property
    def has_dropout(self) -> bool:
        """Whether the model has any dropout layer."""

    @property
    def own_settings(self) -> tuple[str, ...]:
        """Keys of `training` that the model decides by itself, such as the learning rate of one that comes compiled."""

    def params(self) -> dict[str, str | int | float]:
        """Params of a run, by their names in the tracking store."""

    def coordinates(self) -> dict[str, int | float]:
        """The numeric ones of `params`: axes of pictures and columns of tables."""

    def parameters(self, inputs: int, classes: int) -> int:
        """Number of trainable parameters."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
