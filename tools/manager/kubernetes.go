package manager

import (
	"cmp"

	"keyward/manager/kubernetes"
)

// A KubernetesConfig says how Workers run as Pods of a cluster.
type KubernetesConfig struct {
	Kubeconfig     string            `yaml:"kubeconfig"` // file; empty: the Pod's service account
	Name           string            `yaml:"name"`       // of this Manager in the namespace; empty: keyward
	Namespace      string            `yaml:"namespace"`  // empty: keyward-workers
	GatewayIP      string            `yaml:"gatewayIP"`  // of the gateway's Service, where the gateway's URL has a name
	To             KubernetesGateway `yaml:"to"`
	ServiceAccount string            `yaml:"serviceAccount"` // without rights; empty: keyward-worker
	PullSecrets    []string          `yaml:"pullSecrets"`
	RuntimeClass   string            `yaml:"runtimeClass"` // such as gvisor; empty: the cluster's default
	Seccomp        string            `yaml:"seccomp"`      // profile on the nodes; empty: the runtime's default
}

// A KubernetesGateway is what Workers may reach: Pods, or addresses.
type KubernetesGateway struct {
	Namespace string            `yaml:"namespace"`
	Labels    map[string]string `yaml:"labels"`
	CIDR      string            `yaml:"cidr"` // in place of both
	Port      uint16            `yaml:"port"` // of the Pods or addresses, not the Service's
}

func (c *KubernetesConfig) complete(dir string) {
	c.Kubeconfig = under(dir, c.Kubeconfig)
	c.Namespace = cmp.Or(c.Namespace, "keyward-workers")
}

// backend does not talk to the cluster yet.
func (c *KubernetesConfig) backend(gateway string) (*kubernetes.Kubernetes, error) {
	return kubernetes.New(kubernetes.Options{
		Kubeconfig: c.Kubeconfig, Name: c.Name, Namespace: c.Namespace, Gateway: gateway, GatewayIP: c.GatewayIP,
		To:             kubernetes.Gateway{Namespace: c.To.Namespace, Labels: c.To.Labels, CIDR: c.To.CIDR, Port: c.To.Port},
		ServiceAccount: c.ServiceAccount, PullSecrets: c.PullSecrets, RuntimeClass: c.RuntimeClass, Seccomp: c.Seccomp,
	})
}
