package demo

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"keyward/manager"
	"keyward/manager/client"
	service "keyward/tools/manager"
)

// managerConfig is the Manager's configuration; docs/manager.md describes it.
const managerConfig = `store: {dsn: keyward.db}
api: {listen: %q}
operations: {listen: "127.0.0.1:0"}
gateways: {listen: "127.0.0.1:0", signingKey: signing.pem}
`

// matrixConfig is added where there is a homeserver; docs/matrix.md describes it.
const matrixConfig = `matrix: {homeserver: %q, user: "@keyward:` + serverName + `", admins: [%q], registrationSecretFile: registration.secret, target: ` + matrixTarget + `}
`

// manager starts the Manager and takes the admin token of its first start.
func (s *Stage) manager(ctx context.Context, opt Options) error {
	config := fmt.Sprintf(managerConfig, opt.Manager)
	if s.matrix != nil {
		config += fmt.Sprintf(matrixConfig, s.matrix.url, roomAdmin)
		if err := s.keep("registration.secret", s.matrix.secret+"\n"); err != nil {
			return err
		}
	}
	if s.engine != nil {
		config += s.engine.config()
	}
	if err := s.keep("manager.yaml", config); err != nil {
		return err
	}
	c, err := service.LoadConfig(s.path("manager.yaml"))
	if err != nil {
		return err
	}
	started := make(chan map[string]string, 1)
	c.Started = func(at map[string]string) { started <- at }
	var said bytes.Buffer // written before it has started
	s.run(func() error { return service.Run(ctx, c, &said, s.logger()) })
	var at map[string]string
	select {
	case at = <-started:
	case <-ctx.Done():
		return s.Wait()
	}
	s.Manager, s.channel = "http://"+at["api"], at["gateways"]
	for word := range strings.FieldsSeq(said.String()) {
		if manager.ValidSecret(manager.AdminPrefix, word) {
			s.secrets.admin = word
		}
	}
	if err := s.keep("admin.token", s.secrets.admin+"\n"); err != nil {
		return err
	}
	s.admin, err = client.New(s.Manager, s.secrets.admin, client.Options{})
	return err
}
