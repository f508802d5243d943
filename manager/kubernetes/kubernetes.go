// Package kubernetes runs Workers as Pods of a Kubernetes cluster.
//
// A Worker's Pod passes the "restricted" level of Pod Security, has no token of
// the cluster's, and can reach the gateway and nothing else: no name server, no
// other Pod. What it holds comes from two Secrets of its own. See
// docs/kubernetes.md for what the cluster has to see to.
//
// All that the package makes carries its labels, and it touches nothing else.
package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"keyward/manager"
)

// Options of a backend.
type Options struct {
	Kubeconfig string // file; empty: the service account of the Pod that this runs in
	Name       string // of this Manager in the namespace; empty: keyward
	Namespace  string // of Workers, and of nothing else; it enforces the level restricted

	Gateway   string  // URL of the gateway as Workers see it, such as http://gateway:8080
	GatewayIP string  // address behind the URL's name, since a Worker can ask nobody; empty when the URL has one
	To        Gateway // where the gateway's traffic may go

	ServiceAccount string   // without rights; empty: keyward-worker
	PullSecrets    []string // names of Secrets for the registry
	RuntimeClass   string   // such as gvisor or kata; empty: the cluster's default
	Seccomp        string   // profile on the node, relative to kubelet's folder; empty: the runtime's default
}

// A Gateway is what a Worker may reach: Pods, or addresses where the gateway is
// outside the cluster.
type Gateway struct {
	Namespace string            // of its Pods
	Labels    map[string]string // of its Pods
	CIDR      string            // in place of both
	Port      uint16            // on which the Pods, or addresses, listen: not the Service's
}

// A Kubernetes is a backend. It may be used by several goroutines at once, but
// only by one Manager for one name.
type Kubernetes struct {
	opt     Options
	gateway *url.URL

	pods       objects[corev1.Pod]
	secrets    objects[corev1.Secret]
	policies   objects[networkingv1.NetworkPolicy]
	namespaces objects[corev1.Namespace]
	logs       rest.Interface
}

var _ manager.Launcher = (*Kubernetes)(nil)

// Labels and annotations of all that is made here.
const (
	labelManager = "keyward.dev/manager" // name of the Manager
	labelWorker  = "keyward.dev/worker"

	annotationRun   = "keyward.dev/run"
	annotationSpec  = "keyward.dev/spec"  // of the Worker, as JSON
	annotationFiles = "keyward.dev/files" // SHA-256 of its files
)

// enforce is the label by which a namespace refuses Pods below a level.
const enforce = "pod-security.kubernetes.io/enforce"

var dnsLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// New returns a backend. It does not talk to the API yet.
func New(opt Options) (*Kubernetes, error) {
	opt.Name = cmp.Or(opt.Name, "keyward")
	opt.ServiceAccount = cmp.Or(opt.ServiceAccount, "keyward-worker")
	if !dnsLabel.MatchString(opt.Name) {
		return nil, fmt.Errorf("kubernetes: name %q is no label of RFC 1123", opt.Name)
	}
	if !dnsLabel.MatchString(opt.Namespace) {
		return nil, fmt.Errorf("kubernetes: namespace %q is no label of RFC 1123", opt.Namespace)
	}
	gateway, err := url.Parse(opt.Gateway)
	if err != nil || gateway.Scheme != "http" && gateway.Scheme != "https" || gateway.Hostname() == "" {
		return nil, fmt.Errorf("kubernetes: gateway %q is no http or https URL", opt.Gateway)
	}
	if err := checkAddress(gateway.Hostname(), opt.GatewayIP); err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	if err := opt.To.check(); err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	config, err := restConfig(opt.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	k := &Kubernetes{opt: opt, gateway: gateway}
	if err := k.connect(config); err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	return k, nil
}

// checkAddress checks that a Worker, which can ask no name server, finds the
// gateway.
func checkAddress(host, ip string) error {
	_, err := netip.ParseAddr(host)
	if named := err != nil; !named {
		if ip != "" && ip != host {
			return fmt.Errorf("the gateway's address is %s, not %q", host, ip)
		}
		return nil
	}
	if _, err := netip.ParseAddr(ip); err != nil {
		return fmt.Errorf("the gateway's name %q needs an address: %w", host, err)
	}
	return nil
}

func (g Gateway) check() error {
	switch {
	case g.Port == 0:
		return errors.New("the gateway's port is missing")
	case g.CIDR != "":
		p, err := netip.ParsePrefix(g.CIDR)
		if err == nil && p != p.Masked() {
			err = fmt.Errorf("%s has bits beyond its length", g.CIDR)
		}
		if err == nil && (g.Namespace != "" || len(g.Labels) > 0) {
			err = errors.New("the gateway is either Pods or addresses")
		}
		return err
	// Without labels every Pod of the namespace could be reached.
	case g.Namespace == "" || len(g.Labels) == 0:
		return errors.New("the gateway's Pods need a namespace and labels")
	}
	return nil
}

func restConfig(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		return rest.InClusterConfig()
	}
	return clientcmd.BuildConfigFromFlags("", kubeconfig)
}

// Bounds of requests to the API: fifty Workers that start at once take about
// five hundred.
const (
	perSecond = 50
	atOnce    = 100
)

func (k *Kubernetes) connect(config *rest.Config) error {
	config.QPS, config.Burst = perSecond, atOnce
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	in := func(group, resource string) dynamic.ResourceInterface {
		return client.Resource(schema.GroupVersionResource{Group: group, Version: "v1", Resource: resource}).Namespace(k.opt.Namespace)
	}
	k.pods = objects[corev1.Pod]{in("", "pods")}
	k.secrets = objects[corev1.Secret]{in("", "secrets")}
	k.policies = objects[networkingv1.NetworkPolicy]{in("networking.k8s.io", "networkpolicies")}
	k.namespaces = objects[corev1.Namespace]{client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})}

	c := rest.CopyConfig(config)
	c.APIPath, c.GroupVersion = "/api", &corev1.SchemeGroupVersion
	c.NegotiatedSerializer = serializer.NewCodecFactory(runtime.NewScheme()).WithoutConversion()
	k.logs, err = rest.RESTClientFor(c)
	return err
}

// Ready reports whether the API answers, and the namespace refuses Pods with
// privileges.
func (k *Kubernetes) Ready(ctx context.Context) error {
	n, err := k.namespaces.get(ctx, k.opt.Namespace)
	if err != nil {
		return fmt.Errorf("kubernetes: namespace %q: %w", k.opt.Namespace, err)
	}
	if level := n.Labels[enforce]; level != "restricted" {
		return fmt.Errorf("kubernetes: namespace %q has %s=%q, want restricted", k.opt.Namespace, enforce, level)
	}
	return nil
}

// ours selects what this Manager made, of one Worker unless that is empty.
func (k *Kubernetes) ours(worker string) string {
	s := labels.Set{labelManager: k.opt.Name}
	if worker != "" {
		s[labelWorker] = worker
	}
	return s.String()
}

func (k *Kubernetes) labels(worker string) map[string]string {
	return map[string]string{
		"app.kubernetes.io/managed-by": "keyward",
		labelManager:                   k.opt.Name,
		labelWorker:                    worker,
	}
}

func notFound(worker string) error {
	return &manager.Error{Kind: manager.KindWorker, ID: worker, Err: manager.ErrNotFound, Why: "the cluster has no Pod of it"}
}
