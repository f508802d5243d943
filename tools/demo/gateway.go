package demo

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"keyward/manager"
	"keyward/manager/client"
	"keyward/tools/gateway"
)

// Names of the demo's parts, as they stand in the Manager and in the gateway's
// configuration.
const (
	gatewayID  = "demo"
	mcpTarget  = "code-host"
	llmTarget  = "llm"
	mcpCluster = "code-host-upstream"
	llmCluster = "llm-upstream"
	mcpPath    = "/mcp-servers/code-host/mcp"
	llmPath    = "/v1"

	matrixTarget  = "matrix"
	matrixCluster = "matrix-upstream"
	matrixPath    = "/_matrix"
)

// gatewayConfig is the gateway's configuration; docs/gateway.md describes it.
const gatewayConfig = `listeners:
  - address: %[1]q
admin: "127.0.0.1:0"
workers: 2

clusters:
  - {name: manager, urls: ["http://%[6]s"]}
  - {name: ` + mcpCluster + `, urls: [%[2]q]}
  - {name: ` + llmCluster + `, urls: [%[3]q]}
%[8]s
routes:
  - {name: ` + mcpTarget + `, path: ` + mcpPath + `, cluster: ` + mcpCluster + `, prefix_rewrite: "/"}
  - {name: ` + llmTarget + `, path: ` + llmPath + `, cluster: ` + llmCluster + `}
%[9]s
plugins:
  - name: gate
    file: %[4]q
    vm_id: keyward-gate
    env: [{name: KEYWARD_GATEWAY_TOKEN, from_file: gateway.token}]
    configuration: {manager: {cluster: manager, authority: manager, key: %[7]q}}
  - name: key-swap
    file: %[5]q
    vm_id: keyward-key-swap
    env:
      - {name: KEYWARD_GATEWAY_TOKEN, from_file: gateway.token}
      - {name: KEYWARD_GATEWAY_KEYS, from_file: gateway.key}
    configuration: {manager: {cluster: manager, authority: manager, key: %[7]q}}
`

// What is added where there is a homeserver.
const (
	matrixClusterConfig = "  - {name: " + matrixCluster + ", urls: [%q]}\n"
	matrixRouteConfig   = "  - {name: " + matrixTarget + ", path: " + matrixPath + ", cluster: " + matrixCluster + ", timeout: 0s}\n"
)

// gateway makes a gateway known to the Manager, starts it, and returns once it
// follows the Manager.
func (s *Stage) gateway(ctx context.Context, opt Options) error {
	file, err := s.writeGateway(ctx, opt)
	if err != nil {
		return err
	}
	config, err := gateway.Load(file)
	if err != nil {
		return err
	}
	g, err := gateway.New(ctx, config, s.logger())
	if err != nil {
		return err
	}
	s.Gateway, s.Metrics = "http://"+g.Addrs()[0], "http://"+g.AdminAddr()
	s.run(func() error { return g.Run(ctx) })
	return s.connected(ctx)
}

func (s *Stage) writeGateway(ctx context.Context, opt Options) (string, error) {
	issued, _, err := s.admin.CreateGateway(ctx, client.Request{}, manager.GatewaySpec{ID: gatewayID})
	if err != nil {
		return "", err
	}
	if err := s.keep("gateway.token", issued.Secret+"\n"); err != nil {
		return "", err
	}
	key, err := s.secrets.gateway.Reveal()
	if err != nil {
		return "", err
	}
	if err := s.keep("gateway.key", key+"\n"); err != nil {
		return "", err
	}
	_, _, err = s.admin.AddSealingKey(ctx, client.Request{}, manager.SealingKeySpec{Public: s.secrets.gateway.Public().String(), Note: gatewayID})
	if err != nil {
		return "", err
	}
	st, err := s.admin.Status(ctx)
	if err != nil {
		return "", err
	}
	dist, err := filepath.Abs(opt.Plugins)
	if err != nil {
		return "", err
	}
	var cluster, route string
	if s.matrix != nil {
		cluster, route = fmt.Sprintf(matrixClusterConfig, s.matrix.url), matrixRouteConfig
	}
	text := fmt.Sprintf(gatewayConfig, opt.Address, s.mcpURL, s.llmURL, filepath.Join(dist, "gate.wasm"), filepath.Join(dist, "key-swap.wasm"),
		s.channel, st.GatewayKey, cluster, route)
	return s.path("gateway.yaml"), s.keep("gateway.yaml", text)
}

// patience bounds how long a part of the demo may take to do what it was told.
const patience = 30 * time.Second

// connected waits until the gateway has confirmed something to the Manager.
func (s *Stage) connected(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		g, err := s.admin.Gateway(ctx, gatewayID)
		if err != nil {
			return fmt.Errorf("the gateway does not follow the Manager: %w", err)
		}
		if g.Connection == "connected" && g.Epoch != "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the gateway does not follow the Manager: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
