package kubernetes

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"keyward/manager"
)

// Bounds of every Worker that nobody has wanted to choose.
const (
	shmMB       = 16 // of /dev/shm
	logMB       = 64 // of its logs on the node: the rest of it can't be written
	stopSeconds = 10 // after SIGTERM, before SIGKILL
)

// container is the name of the one container of a Pod.
const container = "worker"

// podOf is the Pod of a Worker. It is a pure function: what it returns is all
// that a Worker can have.
func (k *Kubernetes) podOf(worker, run string, spec manager.WorkerSpec) *corev1.Pod {
	spec = spec.WithDefaults()
	no, yes, grace := false, true, int64(stopSeconds)
	strict := corev1.SupplementalGroupsPolicyStrict
	pod := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Name: k.name(worker), Namespace: k.opt.Namespace,
			Labels: k.labels(worker), Annotations: map[string]string{annotationRun: run},
		},
		Spec: corev1.PodSpec{
			Hostname:                      "worker",
			ServiceAccountName:            k.opt.ServiceAccount,
			AutomountServiceAccountToken:  &no,
			EnableServiceLinks:            &no,
			RestartPolicy:                 corev1.RestartPolicyOnFailure,
			TerminationGracePeriodSeconds: &grace,
			// Whom to ask there is none: the address is nobody's, and not the node's.
			DNSPolicy: corev1.DNSNone,
			DNSConfig: &corev1.PodDNSConfig{Nameservers: []string{"127.0.0.1"}, Options: []corev1.PodDNSConfigOption{
				{Name: "timeout", Value: text("1")}, {Name: "attempts", Value: text("1")},
			}},
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: &yes, RunAsUser: &spec.User, RunAsGroup: &spec.User,
				FSGroup:                  &spec.User, // so that it can read its files
				SupplementalGroupsPolicy: &strict,    // and is in none of the image's groups
				SeccompProfile:           k.seccomp(),
			},
			Containers: []corev1.Container{k.containerOf(worker, spec)},
			Volumes:    k.volumes(worker, spec),
		},
	}
	if k.opt.GatewayIP != "" && k.opt.GatewayIP != k.gateway.Hostname() {
		pod.Spec.HostAliases = []corev1.HostAlias{{IP: k.opt.GatewayIP, Hostnames: []string{k.gateway.Hostname()}}}
	}
	if k.opt.RuntimeClass != "" {
		pod.Spec.RuntimeClassName = &k.opt.RuntimeClass
	}
	for _, name := range k.opt.PullSecrets {
		pod.Spec.ImagePullSecrets = append(pod.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
	}
	return pod
}

func text(s string) *string { return &s }

func (k *Kubernetes) containerOf(worker string, spec manager.WorkerSpec) corev1.Container {
	no, yes := false, true
	limits := corev1.ResourceList{
		corev1.ResourceMemory:           mebibytes(spec.Limits.MemoryMB),
		corev1.ResourceCPU:              *resource.NewMilliQuantity(spec.Limits.CPUMilli, resource.DecimalSI),
		corev1.ResourceEphemeralStorage: mebibytes(logMB),
	}
	c := corev1.Container{
		Name:                     container,
		Image:                    spec.Image,
		ImagePullPolicy:          corev1.PullIfNotPresent, // by digest, it is the same
		Args:                     spec.Command,
		EnvFrom:                  []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: k.envSecret(worker)}}}},
		Resources:                corev1.ResourceRequirements{Limits: limits, Requests: limits},
		TerminationMessagePolicy: corev1.TerminationMessageReadFile,
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: &no,
			Privileged:               &no,
			ReadOnlyRootFilesystem:   &yes,
			RunAsNonRoot:             &yes,
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
		VolumeMounts: []corev1.VolumeMount{
			{Name: "files", MountPath: manager.WorkerFiles, ReadOnly: true},
			{Name: "shm", MountPath: "/dev/shm"},
		},
	}
	for i, dir := range slices.Sorted(maps.Keys(spec.Writable)) {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: writable(i), MountPath: dir})
	}
	return c
}

func (k *Kubernetes) volumes(worker string, spec manager.WorkerSpec) []corev1.Volume {
	mode := int32(0o440)
	list := []corev1.Volume{
		{Name: "files", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: k.filesSecret(worker), DefaultMode: &mode}}},
		{Name: "shm", VolumeSource: inMemory(shmMB)},
	}
	for i, dir := range slices.Sorted(maps.Keys(spec.Writable)) {
		list = append(list, corev1.Volume{Name: writable(i), VolumeSource: inMemory(spec.Writable[dir])})
	}
	return list
}

func writable(i int) string { return "writable-" + strconv.Itoa(i) }

// inMemory is a folder that counts as memory of the Worker.
func inMemory(mb int64) corev1.VolumeSource {
	size := mebibytes(mb)
	return corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: &size}}
}

func mebibytes(n int64) resource.Quantity { return *resource.NewQuantity(n<<20, resource.BinarySI) }

func (k *Kubernetes) seccomp() *corev1.SeccompProfile {
	if k.opt.Seccomp == "" {
		return &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
	}
	return &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeLocalhost, LocalhostProfile: &k.opt.Seccomp}
}

// policy lets this Manager's Workers reach the gateway, and nothing else reach
// or be reached by them.
func (k *Kubernetes) policy() *networkingv1.NetworkPolicy {
	tcp, port := corev1.ProtocolTCP, intstr.FromInt32(int32(k.opt.To.Port))
	peer := networkingv1.NetworkPolicyPeer{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: k.opt.To.Namespace}},
		PodSelector:       &metav1.LabelSelector{MatchLabels: k.opt.To.Labels},
	}
	if k.opt.To.CIDR != "" {
		peer = networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: k.opt.To.CIDR}}
	}
	return &networkingv1.NetworkPolicy{
		TypeMeta: metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"},
		ObjectMeta: metav1.ObjectMeta{
			Name: k.policyName(), Namespace: k.opt.Namespace,
			Labels: map[string]string{"app.kubernetes.io/managed-by": "keyward", labelManager: k.opt.Name},
		},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{labelManager: k.opt.Name}},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
			Egress: []networkingv1.NetworkPolicyEgressRule{{
				To:    []networkingv1.NetworkPolicyPeer{peer},
				Ports: []networkingv1.NetworkPolicyPort{{Protocol: &tcp, Port: &port}},
			}},
		},
	}
}

// byDigest reports whether any node can get an image: one that only an engine
// knows has no name.
func byDigest(image string) bool { return strings.Contains(image, "@sha256:") }
