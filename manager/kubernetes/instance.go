package kubernetes

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"keyward/manager"
)

// maxDetail bounds what of a cluster's text is passed on, in bytes.
const maxDetail = 200

// instanceOf is a Pod as every backend reports it.
func instanceOf(worker string, pod *corev1.Pod) manager.Instance {
	i := manager.Instance{Worker: worker, Run: pod.Annotations[annotationRun]}
	var state, last corev1.ContainerState
	for _, c := range pod.Status.ContainerStatuses {
		if c.Name == container {
			state, last = c.State, c.LastTerminationState
		}
	}
	if r := state.Running; r != nil {
		i.Started = r.StartedAt.UTC()
	}
	switch {
	case pod.DeletionTimestamp != nil:
		i.Phase, i.Detail = manager.PhaseStopped, "is being ended"
	case pod.Status.Phase == corev1.PodSucceeded:
		i.Phase, i.Detail = manager.PhaseStopped, ended(state.Terminated, pod.Status.Reason)
	case pod.Status.Phase == corev1.PodFailed:
		i.Phase, i.Detail = manager.PhaseFailed, ended(state.Terminated, pod.Status.Reason)
	case state.Running != nil:
		i.Phase = manager.PhaseRunning
	default:
		i.Phase, i.Detail = manager.PhaseStarting, waiting(pod, state, last)
	}
	i.Detail = i.Detail[:min(len(i.Detail), maxDetail)]
	return i
}

// ended says how a container ended, or why its Pod was.
func ended(t *corev1.ContainerStateTerminated, reason string) string {
	switch {
	case t == nil:
		return reason // such as Evicted
	case t.Reason == "OOMKilled":
		return "exit status " + strconv.Itoa(int(t.ExitCode)) + ", out of memory"
	default:
		return "exit status " + strconv.Itoa(int(t.ExitCode))
	}
}

// waiting says what a Pod that does not run yet, or not again, waits for.
func waiting(pod *corev1.Pod, state, last corev1.ContainerState) string {
	detail := ""
	if w := state.Waiting; w != nil {
		detail = w.Reason // such as ImagePullBackOff
	}
	for _, c := range pod.Status.Conditions {
		if detail == "" && c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			detail = c.Reason // Unschedulable
		}
	}
	if t := last.Terminated; t != nil {
		detail += ", " + ended(t, "")
	}
	return detail
}
