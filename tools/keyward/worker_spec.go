package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"keyward/manager"
	"keyward/manager/client"
	"keyward/policies"
)

// A workerFlags is what is chosen of a Worker on the command line.
type workerFlags struct {
	file, image, token  string
	grants, labels, env []string
	memory, cpu, pids   int64
	on                  map[string]string
	hourTokens          int64
	idleStop            time.Duration
	changed             func(string) bool
}

func (f *workerFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVarP(&f.file, "file", "f", "", "YAML or JSON `file` with the Worker's spec, as the API takes it; flags win over it")
	fs.StringVar(&f.image, "image", "", "image by digest: NAME@sha256:..., or sha256:... for one that the engine has")
	fs.StringVar(&f.token, "token", "", "env or file: how it gets its token (default env)")
	fs.StringArrayVarP(&f.grants, "grant", "g", nil, "`TARGET or TARGET:TOOL` that it may use; TARGET alone: all of it; TARGET:default too (may be repeated)")
	fs.StringArrayVarP(&f.labels, "label", "l", nil, "`NAME=VALUE` that a policy sees, NAME- takes it away (may be repeated)")
	fs.StringArrayVarP(&f.env, "env", "e", nil, "`NAME=VALUE` of its environment, never a secret; NAME- takes it away (may be repeated)")
	fs.Int64Var(&f.memory, "memory", 0, "memory in `MiB` (default 1024)")
	fs.Int64Var(&f.cpu, "cpu", 0, "processor in `thousandths` (default 1000)")
	fs.Int64Var(&f.pids, "pids", 0, "processes and threads at most (default 256)")
	fs.StringToStringVar(&f.on, "on", nil, "`STATE=ACTION`: what is done when it is down, misbehaving or stuck: tell, restart or suspend (default tell; may be repeated)")
	fs.Int64Var(&f.hourTokens, "hour-tokens", 0, "model tokens that it may take in an hour before it misbehaves; 0: what the rules say, 10 million")
	fs.DurationVar(&f.idleStop, "idle-stop", 0, "how long it may ask for nothing before it is put to sleep, such as 30m; 0: for ever")
	f.changed = fs.Changed
}

// apply puts what was chosen into a spec. args are the Worker's command; none
// leaves it.
func (f *workerFlags) apply(spec *manager.WorkerSpec, args []string) error {
	if f.file != "" {
		if err := readDocument(f.file, spec); err != nil {
			return err
		}
	}
	for name, set := range map[string]func(){
		"image":       func() { spec.Image = f.image },
		"token":       func() { spec.Token = manager.TokenPassing(f.token) },
		"memory":      func() { spec.Limits.MemoryMB = f.memory },
		"cpu":         func() { spec.Limits.CPUMilli = f.cpu },
		"pids":        func() { spec.Limits.Pids = f.pids },
		"hour-tokens": func() { spec.Heartbeat.HourTokens = f.hourTokens },
		"idle-stop":   func() { spec.Heartbeat.IdleStopSeconds = int64(f.idleStop / time.Second) },
	} {
		if f.changed(name) {
			set()
		}
	}
	if err := f.applyOn(&spec.Heartbeat); err != nil {
		return err
	}
	if len(args) > 0 {
		spec.Command = args
	}
	spec.Labels, spec.Env = maps.Clone(spec.Labels), maps.Clone(spec.Env)
	if spec.Labels == nil {
		spec.Labels = map[string]string{}
	}
	if spec.Env == nil {
		spec.Env = map[string]string{}
	}
	if err := relabel(spec.Labels, f.labels); err != nil {
		return err
	}
	if err := relabel(spec.Env, f.env); err != nil {
		return fmt.Errorf("--env: %w", err)
	}
	return nil
}

// applyOn puts into h what is to be done in which state.
func (f *workerFlags) applyOn(h *manager.WorkerHeartbeat) error {
	for state, action := range f.on {
		switch a := manager.HealthAction(action); manager.HealthState(state) {
		case manager.Down:
			h.Down = a
		case manager.Misbehaving:
			h.Misbehaving = a
		case manager.Stuck:
			h.Stuck = a
		default:
			return fmt.Errorf("--on %s=%s: nothing can be done when a Worker is %q", state, action, state)
		}
	}
	return nil
}

// grantsOf reads TARGET and TARGET:TOOL; several of one target add up.
func grantsOf(s *session, args []string) ([]manager.WorkerGrant, error) {
	tools := map[string][]string{}
	for _, a := range args {
		target, tool, _ := strings.Cut(a, ":")
		if target == "" {
			return nil, fmt.Errorf("grant %q is neither TARGET nor TARGET:TOOL", a)
		}
		if tool == "default" {
			tool = ""
		}
		tools[target] = append(tools[target], tool)
	}
	var list []manager.WorkerGrant
	for _, id := range slices.Sorted(maps.Keys(tools)) {
		t, err := s.api.Target(s.ctx(), id)
		if err != nil {
			return nil, err
		}
		g := manager.WorkerGrant{Target: id}
		switch whole := slices.Contains(tools[id], ""); {
		case t.Kind == policies.KindMCP && whole:
			g.Tools, g.Prompts, g.Resources = []string{"*"}, []string{"*"}, []string{"*"}
		case t.Kind == policies.KindMCP:
			g.Tools = tools[id]
		case !whole:
			return nil, fmt.Errorf("grant %q: target %q is of kind %s, which has no tools", id+":"+tools[id][0], id, t.Kind)
		}
		list = append(list, g)
	}
	return list, nil
}

func newWorkerCreate() *cobra.Command {
	var f workerFlags
	cmd := changeCommand(&cobra.Command{
		Use:   "create ID [-- COMMAND...]",
		Short: "Create a Worker, and wait until its container runs",
		Long: `Create a Worker: its consumer, grants, token and container. The container has no
privilege, and no network but a loopback on which the gateway answers.`,
		Example: `  keyward worker create researcher --image registry/agent@sha256:... \
    --grant github:issues.read --grant llm:default --token-file admin.token
  keyward worker create researcher -f researcher.yaml --token file --token-file admin.token
  keyward worker create night-shift --image registry/agent@sha256:... \
    --on misbehaving=suspend --on down=restart --idle-stop 30m --hour-tokens 2000000 --token-file admin.token`,
		Args: cobra.MinimumNArgs(1),
	}, func(s *session) error {
		n := manager.NewWorker{ID: s.args[0]}
		if err := f.apply(&n.WorkerSpec, s.args[1:]); err != nil {
			return err
		}
		var err error
		if n.Grants, err = grantsOf(s, f.grants); err != nil {
			return err
		}
		w, change, err := s.api.CreateWorker(s.ctx(), client.Request{}, n)
		return s.worker(w, change, err)
	})
	f.add(cmd)
	return cmd
}

func newWorkerUpdate() *cobra.Command {
	var f workerFlags
	var revoke []string
	cmd := changeCommand(&cobra.Command{
		Use:   "update ID [-- COMMAND...]",
		Short: "Change a Worker: grants and labels while it runs, all else with a new container",
		Long: `Change a Worker, all of it or nothing. Grants and labels hold at once. For anything
else it gets a new container; the old one runs until the new image is there. If the
image can't be had the old one runs on, and the command fails and says why.`,
		Example: `  keyward worker update researcher --grant github:issues.write --revoke llm --token-file admin.token
  keyward worker update researcher --image registry/agent@sha256:... --token-file admin.token`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeEach(workerIDs),
	}, func(s *session) error {
		w, err := s.api.Worker(s.ctx(), s.args[0])
		if err != nil {
			return err
		}
		spec := w.WorkerSpec
		if err := f.apply(&spec, s.args[1:]); err != nil {
			return err
		}
		grants, err := grantsOf(s, f.grants)
		if err != nil {
			return err
		}
		// Based on the version that was read: two who change at once lose nothing.
		after, change, err := s.api.UpdateWorker(s.ctx(), client.Request{Version: w.Version}, w.ID,
			manager.WorkerUpdate{WorkerSpec: spec, Grant: grants, Revoke: revoke})
		return s.worker(after, change, err)
	})
	f.add(cmd)
	cmd.Flags().StringArrayVar(&revoke, "revoke", nil, "`TARGET` whose grants are taken away (may be repeated)")
	return cmd
}

// harmless escapes what would move the cursor of a terminal.
func harmless(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "\\u%04x", r)
		}
	}
	return b.String()
}
