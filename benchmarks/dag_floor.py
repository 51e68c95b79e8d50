"""The floor of benchmarks/dag.py: the least that a driver in Python can do, and no less.

Creates the Jobs of a level, watches their pods, and goes on when all have succeeded. It comes back
to nothing, reads no log, explains no failure, and leaves its Jobs behind.
"""

from typing import Any

from pykube import HTTPClient, Job, KubeConfig, Pod

from benchmarks.dag_tasks import NAMES, Workload, current_workload

SECONDS = 300


def run_level(api: HTTPClient, workload: Workload, level: int) -> None:
    labels = {"level": str(level)}
    waiting = set(NAMES[level])
    for name in NAMES[level]:
        template = {"metadata": {"labels": {**labels, "name": name}}, "spec": workload.pod()}
        Job(
            api,
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {"name": name, "namespace": workload.namespace},
                "spec": {"backoffLimit": 0, "template": template},
            },
        ).create()
    # Without a version to start from, a watch begins with what is there already.
    pods = Pod.objects(api, namespace=workload.namespace).filter(selector=labels).watch()
    for event in pods:
        name, code = event.object.labels["name"], exit_code(event.object.obj)
        if code:
            raise SystemExit(f"job/{name}: exit code {code}")
        if code == 0 and name in waiting:
            (workload.marks / name).touch()
            waiting.remove(name)
            if not waiting:
                return
    raise SystemExit(f"the watch ended before {', '.join(sorted(waiting))}")


def exit_code(pod: dict[str, Any]) -> int | None:
    """Return the exit code of the pod's one container, once it has ended.

    The pod's phase comes more than a second later: the kubelet takes the pod down first.
    """
    for container in pod["status"].get("containerStatuses", []):
        if ended := container["state"].get("terminated"):
            return int(ended["exitCode"])
    return None


def main() -> None:
    workload = current_workload()
    api = HTTPClient(KubeConfig.from_file(workload.kubeconfig), timeout=SECONDS)
    for level in range(len(NAMES)):
        run_level(api, workload, level)


if __name__ == "__main__":
    main()
