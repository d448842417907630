"""Servers of vLLM that the run would start on the same port while both are needed.

    task.maker.port: the servers of policy and task.maker run at the same time, and both would take port 8011
    (policy.port, task.maker.port); set task.maker.port=0

Other roles may have the same port: the policy, the reward model of Improve and the grader run one after the other.
Not here: a port that another program uses (llm.vllm.vllm_process).
"""

from collections.abc import Iterator, Mapping
from itertools import combinations

from rest_react.config.settings import SameModel, Settings
from rest_react.llm.vllm.settings import VllmModel


def port_problems(s: Settings) -> Iterator[str]:
    """One line for each two servers that would take the same port at the same time."""
    if s.replay:  # no model is asked
        return
    yield from _shared_ports({"policy": s.policy, **s.task.models()}, s)
    if s.synthetic.n and s.synthetic.judged:  # a text is judged while the teacher writes others
        yield from _shared_ports({"teacher": s.teacher, "reward_model": s.reward_model}, s)


def _shared_ports(together: Mapping[str, object], s: Settings) -> Iterator[str]:
    """The problems of roles that are asked at the same time. Each has a server of its own, also if it is `same`."""
    servers = [
        (role, "policy", s.policy) if isinstance(model, SameModel) else (role, role, model)
        for role, model in together.items()
    ]
    for (role, block, model), (other_role, other_block, other) in combinations(servers, 2):
        if shared := _ports(model) & _ports(other):
            told = ", ".join(dict.fromkeys((f"{block}.port", f"{other_block}.port")))
            yield (
                f"{other_block}.port: the servers of {role} and {other_role} run at the same time, and both would take "
                f"port {min(shared)} ({told}); set {other_block}.port=0"
            )


def _ports(model: object) -> set[int]:
    """The ports that its servers would take; empty if these are free ones, or if the run starts no server for it."""
    if not isinstance(model, VllmModel) or not model.port:
        return set()
    return set(range(model.port, model.port + model.replicas))
