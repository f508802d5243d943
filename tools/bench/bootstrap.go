package main

import (
	"encoding/json"
	"net"
	"strconv"
)

// A bootstrap is the static configuration of one Envoy: a listener, a chain of
// plugins, an upstream.
type bootstrap struct {
	name     string
	listen   string
	upstream string
	manager  string // "": none
	chain    []*plugin
	workers  int
}

type object = map[string]any

const typeURL = "type.googleapis.com/"

func (b bootstrap) render() ([]byte, error) {
	listen, err := address(b.listen)
	if err != nil {
		return nil, err
	}
	upstream, err := address(b.upstream)
	if err != nil {
		return nil, err
	}
	filters := make([]object, 0, len(b.chain)+1)
	for _, p := range b.chain {
		filters = append(filters, p.filter())
	}
	filters = append(filters, filter("router", object{"@type": typeURL + "envoy.extensions.filters.http.router.v3.Router"}))
	manager := object{
		"@type":        typeURL + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
		"stat_prefix":  "bench",
		"http_filters": filters,
		"route_config": object{"virtual_hosts": []object{{
			"name": "bench", "domains": []string{"*"},
			"routes": []object{route(mcpTarget, mcpPath), route(llmTarget, llmPath)},
		}}},
	}
	clusters := []object{static(cluster, upstream)}
	if b.manager != "" {
		addr, err := address(b.manager)
		if err != nil {
			return nil, err
		}
		clusters = append(clusters, static(managerCluster, addr))
	}
	return json.Marshal(object{"static_resources": object{
		"listeners": []object{{
			"name": "bench", "address": listen,
			// Every worker gets its part of the connections.
			"connection_balance_config": object{"exact_balance": object{}},
			"filter_chains":             []object{{"filters": []object{filter("network", manager)}}},
		}},
		"clusters": clusters,
	}})
}

func static(name string, address object) object {
	return object{
		"name": name, "type": "STATIC",
		"load_assignment": object{"cluster_name": name, "endpoints": []object{{
			"lb_endpoints": []object{{"endpoint": object{"address": address}}},
		}}},
	}
}

func route(name, path string) object {
	return object{"name": name, "match": object{"prefix": path}, "route": object{"cluster": cluster}}
}

func filter(name string, config object) object {
	return object{"name": name, "typed_config": config}
}

func (p *plugin) filter() object {
	vm := object{
		"vm_id":   p.name,
		"runtime": "envoy.wasm.runtime.v8",
		"code":    object{"local": object{"filename": p.wasm}},
	}
	if p.env != nil {
		vm["environment_variables"] = object{"host_env_keys": p.env}
	}
	config := object{
		"name": p.name, "root_id": p.name,
		"failure_policy":                  "FAIL_CLOSED",
		"allow_on_headers_stop_iteration": p.holds,
		"vm_config":                       vm,
	}
	if p.config != "" {
		config["configuration"] = object{"@type": typeURL + "google.protobuf.StringValue", "value": p.config}
	}
	return filter(p.name, object{
		"@type":  typeURL + "envoy.extensions.filters.http.wasm.v3.Wasm",
		"config": config,
	})
}

func address(hostPort string) (object, error) {
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	return object{"socket_address": object{"address": host, "port_value": n}}, nil
}
