package docker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/network"

	"keyward/manager"
)

// subnetBits leaves 8 addresses: the forwarder's and the Worker's, and spare
// ones.
const subnetBits = 29

// inhibit keeps the engine from giving the bridge an address. A bridge with one
// lets the Worker reach every service of the host, also on an internal network.
const inhibit = "com.docker.network.bridge.inhibit_ipv4"

// ensureNetwork makes the network of a Worker, with the forwarder in it.
func (d *Docker) ensureNetwork(ctx context.Context, worker string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	forwarder, err := d.ensureForwarder(ctx)
	if err != nil {
		return err
	}
	n, err := d.client.NetworkInspect(ctx, d.name(worker), network.InspectOptions{})
	if errdefs.IsNotFound(err) {
		err = d.createNetwork(ctx, worker)
	} else if err == nil {
		err = d.checkNetwork(n, worker)
	}
	if err != nil {
		return fmt.Errorf("docker: network of %q: %w", worker, err)
	}
	return d.join(ctx, d.name(worker), forwarder)
}

// checkNetwork refuses a network of the right name that somebody else made.
func (d *Docker) checkNetwork(n network.Inspect, worker string) error {
	if !n.Internal || n.Options[inhibit] != "true" || n.Labels[labelManager] != d.opt.Name || n.Labels[labelWorker] != worker {
		return &manager.Error{Kind: manager.KindWorker, ID: worker, Err: manager.ErrState, Why: "a network of that name is not its own"}
	}
	return nil
}

func (d *Docker) createNetwork(ctx context.Context, worker string) error {
	taken, err := d.subnets(ctx)
	if err != nil {
		return err
	}
	no := false
	for subnet := range cut(d.pool) {
		if taken[subnet] {
			continue
		}
		_, err := d.client.NetworkCreate(ctx, d.name(worker), network.CreateOptions{
			Driver:     "bridge",
			Internal:   true,
			EnableIPv6: &no,
			IPAM:       &network.IPAM{Config: []network.IPAMConfig{{Subnet: subnet.String()}}},
			Options:    map[string]string{inhibit: "true"},
			Labels:     d.labels(roleWorker, worker),
		})
		// Somebody else's network, or route, may overlap.
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), "overlap") {
			return err
		}
	}
	return errors.New("the pool has no free network left")
}

// subnets are those that networks of this Manager have.
func (d *Docker) subnets(ctx context.Context) (map[netip.Prefix]bool, error) {
	list, err := d.client.NetworkList(ctx, network.ListOptions{Filters: d.ours("", "")})
	if err != nil {
		return nil, err
	}
	taken := map[netip.Prefix]bool{}
	for _, n := range list {
		for _, c := range n.IPAM.Config {
			if p, err := netip.ParsePrefix(c.Subnet); err == nil {
				taken[p] = true
			}
		}
	}
	return taken, nil
}

// cut yields the subnets of a pool in their order.
func cut(pool netip.Prefix) func(yield func(netip.Prefix) bool) {
	return func(yield func(netip.Prefix) bool) {
		const size = 1 << (32 - subnetBits)
		base := binary.BigEndian.Uint32(pool.Addr().AsSlice())
		for i := range uint32(1) << (subnetBits - pool.Bits()) {
			var a [4]byte
			binary.BigEndian.PutUint32(a[:], base+i*size)
			if !yield(netip.PrefixFrom(netip.AddrFrom4(a), subnetBits)) {
				return
			}
		}
	}
}

// join puts the forwarder into a Worker's network, under the gateway's name.
func (d *Docker) join(ctx context.Context, name, forwarder string) error {
	err := d.client.NetworkConnect(ctx, name, forwarder, &network.EndpointSettings{Aliases: []string{d.gateway.Hostname()}})
	if err != nil && strings.Contains(err.Error(), "already exists") {
		return nil
	}
	return err
}

// removeNetwork takes a Worker's network away, with whatever is in it.
func (d *Docker) removeNetwork(ctx context.Context, worker string) error {
	list, err := d.client.NetworkList(ctx, network.ListOptions{Filters: d.ours(roleWorker, worker)})
	if err != nil {
		return err
	}
	for _, n := range list {
		full, err := d.client.NetworkInspect(ctx, n.ID, network.InspectOptions{})
		if gone(err) != nil {
			return err
		}
		for id := range full.Containers {
			if err := gone(d.client.NetworkDisconnect(ctx, n.ID, id, true)); err != nil {
				return err
			}
		}
		if err := gone(d.client.NetworkRemove(ctx, n.ID)); err != nil {
			return err
		}
	}
	return nil
}
